-- A Wireshark dissector for the DiskDelta protocol, version 1.0. README.md beside it tells how to install it;
-- Docs/Protocol.md is the protocol, and the numbers in brackets (P-9) are its rules.

local diskdelta = Proto("diskdelta", "DiskDelta")

diskdelta.prefs.port = Pref.uint("TCP port", 7420, "The server's port. Other ports are known by the preface.")
diskdelta.prefs.protobuf = Pref.bool("Show messages as protobuf", true,
  "Hand requests, messages and details to the protobuf dissector; add Proto/ to its search paths to see names.")

-- What is fixed ------------------------------------------------------------------------------------------------------

local MAGIC = ByteArray.new("89 44 44 50 0D 0A 1A 0A"):raw()
local HEADER, HARD_CAP, REFUSED = 16, 16777215, 256
local CLIENT, SERVER, BOTH = "client", "server", "both"

-- Of each type: its name, who sends it, and whether it belongs to the connection, a stream, or either.
local TYPES = {
  [1] = { "SETTINGS", BOTH, "connection" },
  [2] = { "OPEN", CLIENT, "stream" },
  [3] = { "DATA", SERVER, "stream" },
  [4] = { "END", SERVER, "stream" },
  [5] = { "CANCEL", BOTH, "stream" },
  [6] = { "CREDIT", CLIENT, "either" },
  [7] = { "PING", BOTH, "connection" },
  [8] = { "GOAWAY", BOTH, "connection" },
}
local TYPE_NAMES = {}
for number, type in pairs(TYPES) do TYPE_NAMES[number] = type[1] end

local SETTINGS = {
  [1] = "max_frame", [2] = "max_streams", [3] = "stream_credit", [4] = "connection_credit", [5] = "min_ping_interval",
}
local STATUSES = {
  [0] = "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
  "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}
local REASONS = { [REFUSED] = "REFUSED" }
for number, name in pairs(STATUSES) do if number > 0 then REASONS[number] = name end end
local CODES = {
  [0] = "NO_ERROR", "PROTOCOL_ERROR", "FRAME_TOO_LARGE", "UNKNOWN_FRAME", "SETTINGS_ERROR", "STREAM_ERROR",
  "FLOW_CONTROL_ERROR", "UNSUPPORTED_VERSION", "HANDSHAKE_TIMEOUT", "EXCESSIVE_LOAD", "INTERNAL_ERROR",
}

-- Fields -------------------------------------------------------------------------------------------------------------

local f = {
  magic = ProtoField.bytes("diskdelta.preface.magic", "Magic"),
  major = ProtoField.uint16("diskdelta.preface.major", "Major version"),
  minor = ProtoField.uint16("diskdelta.preface.minor", "Minor version"),
  features = ProtoField.uint32("diskdelta.preface.features", "Features", base.HEX),

  length = ProtoField.uint32("diskdelta.length", "Length"),
  type = ProtoField.uint8("diskdelta.type", "Type", base.DEC, TYPE_NAMES),
  flags = ProtoField.uint8("diskdelta.flags", "Flags", base.HEX),
  ack = ProtoField.bool("diskdelta.flags.ack", "ACK", 8, nil, 0x01),
  reserved = ProtoField.uint16("diskdelta.reserved", "Reserved", base.HEX),
  stream = ProtoField.uint32("diskdelta.stream", "Stream"),
  aux = ProtoField.uint32("diskdelta.aux", "Aux"),
  payload = ProtoField.bytes("diskdelta.payload", "Payload"),

  settings_count = ProtoField.uint32("diskdelta.settings.count", "Number of entries"),
  settings_id = ProtoField.uint16("diskdelta.settings.id", "Setting", base.DEC, SETTINGS),
  settings_zero = ProtoField.uint16("diskdelta.settings.zero", "Zero", base.HEX),
  settings_value = ProtoField.uint32("diskdelta.settings.value", "Value"),

  timeout = ProtoField.uint32("diskdelta.open.timeout", "Timeout in ms"),
  path_length = ProtoField.uint16("diskdelta.open.path_length", "Path length"),
  metadata_length = ProtoField.uint16("diskdelta.open.metadata_length", "Metadata length"),
  path = ProtoField.string("diskdelta.path", "Method", base.UNICODE),
  key = ProtoField.string("diskdelta.metadata.key", "Key", base.ASCII),
  value = ProtoField.bytes("diskdelta.metadata.value", "Value"),
  request = ProtoField.bytes("diskdelta.open.request", "Request"),

  number = ProtoField.uint32("diskdelta.data.number", "Number of the message"),
  message = ProtoField.bytes("diskdelta.data.message", "Message"),

  status = ProtoField.uint32("diskdelta.end.status", "Status", base.DEC, STATUSES),
  text_length = ProtoField.uint16("diskdelta.text_length", "Text length"),
  text = ProtoField.string("diskdelta.text", "Text", base.UNICODE),
  trailers_length = ProtoField.uint16("diskdelta.end.trailers_length", "Trailers length"),
  details = ProtoField.bytes("diskdelta.end.details", "Details"),

  reason = ProtoField.uint32("diskdelta.cancel.reason", "Reason", base.DEC, REASONS),
  credit = ProtoField.uint32("diskdelta.credit.bytes", "Bytes granted"),
  ping = ProtoField.bytes("diskdelta.ping.bytes", "Bytes"),
  last_stream = ProtoField.uint32("diskdelta.goaway.last_stream", "Last stream taken up"),
  code = ProtoField.uint32("diskdelta.goaway.code", "Code", base.DEC, CODES),
}
for _, field in pairs(f) do table.insert(diskdelta.fields, field) end

local breach = ProtoExpert.new("diskdelta.breach", "A rule is broken", expert.group.PROTOCOL, expert.severity.ERROR)
local cut = ProtoExpert.new("diskdelta.cut", "Not captured whole", expert.group.UNDECODED, expert.severity.NOTE)
local failure = ProtoExpert.new("diskdelta.failure", "Failure", expert.group.RESPONSE_CODE, expert.severity.WARN)
diskdelta.experts = { breach, cut, failure }

-- What is remembered of connections ----------------------------------------------------------------------------------

local tcp_stream = Field.new("tcp.stream")
-- By the number of the TCP stream: `client_port`; the `highest` stream; what the last GOAWAY named (`last_accepted`); by
-- stream its path, the next message's number, and whether the server has ended it.
local connections = {}
-- By packet and offset: what was found wrong with the order of frames when they were first seen, in order.
local findings = {}

function diskdelta.init()
  connections = {}
  findings = {}
end

local function connection_of(pinfo)
  local field = tcp_stream()
  local key = field and tostring(field) or "?"
  local connection = connections[key]
  if not connection then
    connection = { paths = {}, next_number = {}, ended = {}, first = {} }
    connections[key] = connection
  end
  return connection
end

local function sender(connection, pinfo)
  if not connection.client_port then return nil end
  return pinfo.src_port == connection.client_port and CLIENT or SERVER
end

-- Payloads -----------------------------------------------------------------------------------------------------------

-- Reads what a payload is made of, and stops where it ends: every read first asks whether there is so much left.
local Reader = {}
Reader.__index = Reader

local function reader(tvb, tree) return setmetatable({ tvb = tvb, at = 0, tree = tree }, Reader) end
function Reader:left() return self.tvb:len() - self.at end

function Reader:take(count, field)
  if count < 0 or count > self:left() then return nil end
  -- A range has at least one byte; nothing has none.
  if count == 0 then return false end
  local range = self.tvb(self.at, count)
  self.at = self.at + count
  return range, field and self.tree:add(field, range)
end

function Reader:number(count, field)
  local range = self:take(count, field)
  return range and range:uint()
end

local protobuf = Dissector.get("protobuf")

-- A protobuf message of this kind, as bytes and as what the protobuf dissector makes of it.
local function show_message(range, field, kind, pinfo, tree)
  local item = tree:add(field, range)
  if not (diskdelta.prefs.protobuf and protobuf and kind) then return end
  pinfo.private["pb_msg_type"] = kind
  -- What a dissector finds wrong with a message stays with the message.
  pcall(function() protobuf:call(range:tvb(), pinfo, item) end)
end

local function show_entries(range, tree)
  local entries = reader(range:tvb(), tree)
  while entries:left() > 0 do
    local key_length = entries:number(1)
    local key = key_length and key_length > 0 and entries:take(key_length)
    local value_length = key and entries:number(2)
    if not value_length then return "an entry is cut off or has no key" end
    local entry = tree:add(f.key, key)
    local value = entries:take(value_length)
    if value == nil then return "a value is longer than what is left" end
    if value then entry:add(f.value, value) end
  end
end

-- Each gives what is wrong with the payload, if anything, and what to add to the Info column.
local payloads = {}

payloads[1] = function(tvb, header, pinfo, tree)
  if header.length ~= header.aux * 8 or header.aux > 32 then return "the length is not 8 for each of at most 32 entries (P-16)" end
  local entries, seen = reader(tvb, tree), {}
  while entries:left() >= 8 do
    local range = tvb(entries.at, 8)
    local id, value = range(0, 2):uint(), range(4, 4):uint()
    local entry = tree:add(diskdelta, range, (SETTINGS[id] or "unknown setting " .. id) .. ": " .. value)
    entry:add(f.settings_id, range(0, 2))
    entry:add(f.settings_zero, range(2, 2))
    entry:add(f.settings_value, range(4, 4))
    if range(2, 2):uint() ~= 0 then return "the second field of an entry is not 0 (P-16)" end
    if seen[id] then return "setting " .. id .. " is there twice (P-16)" end
    seen[id] = true
    entries.at = entries.at + 8
  end
end

payloads[2] = function(tvb, header, pinfo, tree, connection)
  local parts = reader(tvb, tree)
  local path_length = parts:number(2, f.path_length)
  local metadata_length = parts:number(2, f.metadata_length)
  if not metadata_length then return "the payload is too short (P-24)" end
  local path = parts:take(path_length, f.path)
  if not path or path_length > 255 then return "the path has " .. path_length .. " bytes (P-24)" end
  if metadata_length > 8192 then return "the metadata has " .. metadata_length .. " bytes (P-24)" end
  local name = path:string()
  local metadata = parts:take(metadata_length)
  if metadata == nil then return "the metadata is longer than what is left (P-24)", name end
  local problem = metadata and show_entries(metadata, tree:add(diskdelta, metadata, "Metadata"))
  if not name:match("^[%w_.]+/[%w_.]+$") then problem = problem or "the path is not SERVICE/METHOD" end
  connection.paths[header.stream] = name
  local request = parts:take(parts:left())
  if request then show_message(request, f.request, "application/grpc,/" .. name .. ",request", pinfo, tree) end
  return problem and problem .. " (P-24)", name
end

payloads[3] = function(tvb, header, pinfo, tree, connection)
  local path = connection.paths[header.stream]
  if path then tree:add(f.path, path):set_generated() end
  if tvb:len() > 0 then
    show_message(tvb(), f.message, path and "application/grpc,/" .. path .. ",response", pinfo, tree)
  end
  return nil, "#" .. header.aux
end

payloads[4] = function(tvb, header, pinfo, tree, connection)
  local path = connection.paths[header.stream]
  if path then tree:add(f.path, path):set_generated() end
  if header.length > 16384 then return "END is longer than 16384 bytes (P-32)" end
  local parts = reader(tvb, tree)
  local text_length = parts:number(2, f.text_length)
  if not text_length then return "the payload is too short (P-32)" end
  local text, item = parts:take(text_length, f.text)
  if text == nil or text_length > 4096 then return "the text has " .. text_length .. " bytes (P-32)" end
  local trailers_length = parts:number(2, f.trailers_length)
  local trailers = trailers_length and parts:take(trailers_length)
  if trailers == nil or trailers_length > 8192 then return "the trailers are cut off or too long (P-32)" end
  local problem = trailers and show_entries(trailers, tree:add(diskdelta, trailers, "Trailers"))
  local details = parts:take(parts:left())
  if details then show_message(details, f.details, "message,diskdelta.v1.StatusDetails", pinfo, tree) end
  local status = STATUSES[header.aux] or tostring(header.aux)
  if header.aux ~= 0 then tree:add_proto_expert_info(failure, "The call failed: " .. status) end
  return problem and problem .. " (P-32)", status
end

payloads[5] = function(tvb, header)
  if header.length ~= 0 then return "CANCEL has a payload (P-38)" end
  return nil, REASONS[header.aux] or tostring(header.aux)
end

payloads[6] = function(tvb, header)
  if header.length ~= 0 then return "CREDIT has a payload (P-42)" end
  return nil, "+" .. header.aux
end

payloads[7] = function(tvb, header, pinfo, tree)
  if header.length ~= 8 then return "PING does not have 8 bytes (P-48)" end
  reader(tvb, tree):take(8, f.ping)
  return nil, header.flags % 2 == 1 and "ACK" or nil
end

payloads[8] = function(tvb, header, pinfo, tree)
  local parts = reader(tvb, tree)
  local code = parts:number(4, f.code)
  local text_length = parts:number(2, f.text_length)
  if not text_length then return "the payload is too short (P-50)" end
  local text = parts:take(text_length, f.text)
  if text == nil or text_length > 4096 or parts:left() > 0 then return "the text is not what the payload ends with (P-50)" end
  if code ~= 0 then tree:add_proto_expert_info(failure, "The connection is given up: " .. (CODES[code] or code)) end
  return nil, CODES[code] or tostring(code)
end

-- Frames -------------------------------------------------------------------------------------------------------------

-- What `aux` means, by type.
local AUX = { f.settings_count, f.timeout, f.number, f.status, f.reason, f.credit, nil, f.last_stream }

-- What is wrong with a header by itself.
local function header_problem(header, from)
  local type = TYPES[header.type]
  if header.length > HARD_CAP then return "a length of " .. header.length .. " is above every max_frame (P-9)" end
  if not type then
    return header.type < 0x80 and "a frame of an unknown type that may not be ignored (P-10)" or nil
  end
  local name, sent_by, level = type[1], type[2], type[3]
  if header.reserved ~= 0 then return "the reserved field is not 0 (P-11)" end
  if header.flags ~= 0 and not (name == "PING" and header.flags == 1) then return "unknown flags (P-11)" end
  if header.stream >= 0x80000000 then return "bit 31 of the stream is set (P-11)" end
  if level == "connection" and header.stream ~= 0 then return "a frame of the connection names a stream (P-11)" end
  if level == "stream" and header.stream == 0 then return "a frame of a stream names none (P-11)" end
  if header.stream % 2 == 0 and header.stream ~= 0 then return "a stream's id is odd (P-19, P-21)" end
  if from and sent_by ~= BOTH and sent_by ~= from then return "the " .. from .. " sends no " .. name .. " (P-11)" end
  if name == "OPEN" and header.aux > 0x7FFFFFFF then return "the timeout is above 2^31 - 1 (P-25)" end
  if name == "END" and header.aux > 16 then return "the status is above 16 (P-32)" end
  if name == "CANCEL" and not REASONS[header.aux] then return "no reason of CANCEL (P-38)" end
  if name == "CANCEL" and header.aux == REFUSED and from == CLIENT then return "a client refuses nothing (P-38)" end
  if name == "CREDIT" and header.aux < 1024 then return "CREDIT of less than 1024 bytes (P-42)" end
  if name == "PING" and header.aux ~= 0 then return "PING's aux is not 0 (P-48)" end
  if name == "GOAWAY" and from == CLIENT and header.aux ~= 0 then return "a client's GOAWAY names a stream (P-50)" end
end

-- What is wrong with the order of frames; asked once of each frame, in order.
local function order_problem(header, from, connection)
  if not from then return nil end
  local name = TYPE_NAMES[header.type]
  if not connection.first[from] then
    connection.first[from] = true
    if name and name ~= "SETTINGS" and name ~= "GOAWAY" then return "the first frame is not SETTINGS (P-12)" end
  elseif name == "SETTINGS" then
    return "SETTINGS came twice (P-15)"
  end
  if name == "OPEN" then
    if header.stream <= (connection.highest or 0) then return "the stream is not above all before it (P-19)" end
    connection.highest = header.stream
    connection.next_number[header.stream] = 0
    return nil
  end
  if name == "GOAWAY" and from == SERVER then
    local before = connection.last_accepted
    connection.last_accepted = header.aux
    if before and header.aux > before then return "the stream that GOAWAY names has risen (P-53)" end
  end
  if header.stream == 0 or not name then return nil end
  if header.stream > (connection.highest or 0) then return "the stream was never opened (P-21)" end
  if from == SERVER and connection.ended[header.stream] then return "the server has ended the stream (P-20)" end
  if from == SERVER and (name == "END" or name == "CANCEL") then connection.ended[header.stream] = true end
  if name == "DATA" then
    local expected = connection.next_number[header.stream]
    if expected then
      connection.next_number[header.stream] = header.aux + 1
      if header.aux ~= expected then return "message " .. header.aux .. " where " .. expected .. " is next (P-29)" end
    end
  end
end

-- What was sent on before the frame: kept, for packets are dissected again, and then in any order.
local function remembered_order_problem(tvb, header, pinfo, from, connection)
  local key = pinfo.number .. ":" .. tvb:offset() .. ":" .. header.stream .. ":" .. header.type .. ":" .. header.aux
  if not pinfo.visited and findings[key] == nil then
    findings[key] = order_problem(header, from, connection) or false
  end
  return findings[key]
end

-- What the packet holds so far. A packet is handed in more than once where it ends a frame and begins another, and the
-- protobuf dissector writes into the column too, so the column is set when all is done.
local function add_info(pinfo, text)
  local before = pinfo.private["diskdelta_info"]
  pinfo.private["diskdelta_info"] = before and before .. ", " .. text or text
end

local function dissect_preface(tvb, pinfo, tree)
  local connection = connection_of(pinfo)
  -- The client speaks first (P-5).
  connection.client_port = connection.client_port or pinfo.src_port
  local item = tree:add(diskdelta, tvb(), "DiskDelta preface")
  item:add(f.magic, tvb(0, 8))
  local major = item:add(f.major, tvb(8, 2))
  item:add(f.minor, tvb(10, 2))
  item:add(f.features, tvb(12, 4))
  if tvb(8, 2):uint() ~= 1 then major:add_proto_expert_info(breach, "A version this dissector does not know (P-7)") end
  add_info(pinfo, "preface")
end

local function dissect_frame(tvb, pinfo, tree)
  local connection = connection_of(pinfo)
  local from = sender(connection, pinfo)
  local header = {
    length = tvb(0, 4):uint(), type = tvb(4, 1):uint(), flags = tvb(5, 1):uint(), reserved = tvb(6, 2):uint(),
    stream = tvb(8, 4):uint(), aux = tvb(12, 4):uint(),
  }
  local name = TYPE_NAMES[header.type] or string.format("type 0x%02x", header.type)
  local title = name .. (header.stream ~= 0 and " " .. header.stream or "")
  local item = tree:add(diskdelta, tvb(), "DiskDelta " .. title)
  item:add(f.length, tvb(0, 4))
  item:add(f.type, tvb(4, 1))
  local flags = item:add(f.flags, tvb(5, 1))
  if header.type == 7 then flags:add(f.ack, tvb(5, 1)) end
  item:add(f.reserved, tvb(6, 2))
  item:add(f.stream, tvb(8, 4))
  local aux = item:add(f.aux, tvb(12, 4))
  if AUX[header.type] then aux:add(AUX[header.type], tvb(12, 4)) end

  local problem = header_problem(header, from) or remembered_order_problem(tvb, header, pinfo, from, connection)
  local info
  local held = tvb:len() - HEADER
  if header.length > HARD_CAP then
    if held > 0 then item:add(f.payload, tvb(HEADER)) end
  elseif held < header.length then
    if held > 0 then item:add(f.payload, tvb(HEADER)) end
    item:add_proto_expert_info(cut)
  else
    local payload = held > 0 and tvb(HEADER, header.length):tvb() or ByteArray.new():tvb("empty")
    if payloads[header.type] then
      local found
      found, info = payloads[header.type](payload, header, pinfo, item, connection)
      problem = problem or found
    elseif held > 0 then
      item:add(f.payload, tvb(HEADER, header.length))
    end
  end
  if problem then item:add_proto_expert_info(breach, "A rule is broken: " .. problem) end
  title = title .. (info and " " .. info or "")
  item:append_text(info and " " .. info or "")
  add_info(pinfo, title .. (problem and " [!]" or ""))
end

-- TCP ----------------------------------------------------------------------------------------------------------------

-- The magic can be no frame: as a length it is above every cap.
local function starts_preface(tvb, offset)
  return tvb:captured_len() >= offset + 8 and tvb(offset, 8):bytes():raw() == MAGIC
end

-- What follows a length above the cap cannot be told apart, so it belongs to that frame (P-55).
local function unit_length(tvb, pinfo, offset)
  if starts_preface(tvb, offset) then return HEADER end
  local length = tvb(offset, 4):uint()
  if length > HARD_CAP then return math.max(tvb:reported_length_remaining(offset), HEADER) end
  return HEADER + length
end

local function dissect_unit(tvb, pinfo, tree)
  if tvb:captured_len() < HEADER then
    tree:add(diskdelta, tvb()):add_proto_expert_info(cut)
  elseif starts_preface(tvb, 0) then
    dissect_preface(tvb, pinfo, tree)
  else
    dissect_frame(tvb, pinfo, tree)
  end
  return tvb:captured_len()
end

function diskdelta.dissector(tvb, pinfo, tree)
  if tvb:captured_len() == 0 then return 0 end
  dissect_tcp_pdus(tvb, tree, HEADER, unit_length, dissect_unit)
  pinfo.cols.protocol = "DiskDelta"
  local info = pinfo.private["diskdelta_info"]
  if info then
    -- What was put there when the packet was handed in before stands behind a fence.
    pinfo.cols.info:clear_fence()
    pinfo.cols.info = info
  end
  return tvb:captured_len()
end

local function heuristic(tvb, pinfo, tree)
  if not starts_preface(tvb, 0) then return false end
  pinfo.conversation = diskdelta
  diskdelta.dissector(tvb, pinfo, tree)
  return true
end

local tcp_ports = DissectorTable.get("tcp.port")
local port = diskdelta.prefs.port
tcp_ports:add(port, diskdelta)
function diskdelta.prefs_changed()
  if port ~= diskdelta.prefs.port then
    tcp_ports:remove(port, diskdelta)
    port = diskdelta.prefs.port
    tcp_ports:add(port, diskdelta)
  end
end
diskdelta:register_heuristic("tcp", heuristic)
DissectorTable.get("tls.alpn"):add("diskdelta/1", diskdelta)
