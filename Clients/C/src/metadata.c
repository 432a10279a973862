#include "metadata.h"

#include "wire.h"

#include <stdio.h>
#include <string.h>

void dd_metadata_init(struct dd_metadata *metadata, const diskdelta_allocator *allocator)
{
    memset(metadata, 0, sizeof *metadata);
    dd_arena_init(&metadata->arena, allocator);
}

static bool fail(diskdelta_failure *failure, diskdelta_reason reason, const char *text)
{
    dd_fail(failure, reason, "%s", text);
    return false;
}

static bool is_token(const char *token)
{
    return token[0] != '\0' &&
           token[strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=")] == '\0';
}

/* Whether the key belongs to the protocol. */
static bool is_reserved(const char *key)
{
    return key != NULL && (strcmp(key, "authorization") == 0 || strncmp(key, "diskdelta-", 10) == 0);
}

static bool copy_entry(struct dd_metadata *metadata, const diskdelta_metadata *from)
{
    size_t key = strlen(from->key) + 1;
    char *bytes = dd_arena_take(&metadata->arena, key + from->value.size);
    if (bytes == NULL)
        return false;
    memcpy(bytes, from->key, key);
    if (from->value.size > 0)
        memcpy(bytes + key, from->value.data, from->value.size);
    metadata->entries[metadata->count++] =
        (diskdelta_metadata){bytes, {(const uint8_t *)bytes + key, from->value.size}};
    return true;
}

static bool copy_token(struct dd_metadata *metadata, const char *token)
{
    static const char scheme[] = "Bearer ";
    size_t size = strlen(scheme) + strlen(token);
    char *value = dd_arena_take(&metadata->arena, size + 1);
    if (value == NULL)
        return false;
    (void)snprintf(value, size + 1, "%s%s", scheme, token);
    metadata->entries[metadata->count++] = (diskdelta_metadata){"authorization", {(const uint8_t *)value, size}};
    metadata->has_token = true;
    return true;
}

/* Whether they fit, with the entries that the library adds. */
static bool are_well_formed(const diskdelta_call_options *options)
{
    for (size_t i = 0; i < options->metadata_count; i++) {
        if (options->metadata == NULL || is_reserved(options->metadata[i].key))
            return false;
    }
    return dd_open_prefix_size(&(struct dd_open){"a/b", options->metadata, options->metadata_count}) != 0;
}

bool dd_metadata_set(struct dd_metadata *metadata, const diskdelta_call_options *options, diskdelta_failure *failure)
{
    if (!are_well_formed(options))
        return fail(failure, DISKDELTA_REASON_INVALID_PARAMETER, "the metadata of the call is malformed (P-24, P-27)");
    if (options->bearer_token != NULL && !is_token(options->bearer_token))
        return fail(failure, DISKDELTA_REASON_INVALID_PARAMETER, "the token of the call is malformed (P-27)");
    dd_arena_reset(&metadata->arena, SIZE_MAX / 2);
    metadata->entries = dd_arena_array(&metadata->arena, options->metadata_count + 2, sizeof *metadata->entries);
    bool is_well = metadata->entries != NULL;
    for (size_t i = 0; i < options->metadata_count && is_well; i++)
        is_well = copy_entry(metadata, &options->metadata[i]);
    if (is_well && options->bearer_token != NULL)
        is_well = copy_token(metadata, options->bearer_token);
    if (!is_well)
        return fail(failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the call");
    /* The longest number of attempts, so that a later attempt can't fail of its size. */
    size_t count = dd_metadata_count(metadata, UINT32_MAX);
    if (dd_open_prefix_size(&(struct dd_open){"a/b", metadata->entries, count}) == 0)
        return fail(failure, DISKDELTA_REASON_INVALID_PARAMETER, "the metadata of the call is too long (P-24)");
    return true;
}

size_t dd_metadata_count(struct dd_metadata *metadata, unsigned attempts)
{
    if (attempts == 0)
        return metadata->count;
    int size = snprintf(metadata->attempts, sizeof metadata->attempts, "%u", attempts);
    metadata->entries[metadata->count] = (diskdelta_metadata){
        "diskdelta-previous-attempts", {(const uint8_t *)metadata->attempts, size > 0 ? (size_t)size : 0}};
    return metadata->count + 1;
}

void dd_metadata_free(struct dd_metadata *metadata)
{
    dd_arena_free(&metadata->arena);
}
