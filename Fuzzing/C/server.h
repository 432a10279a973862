/* A server that sends range answers made of an input, over a carrier that lies in memory; and the checks of what the
 * client hands out of them. */
#ifndef SERVER_H
#define SERVER_H

#include "fuzz.h"

struct server {
    struct bytes bytes;
    size_t at;
    /* How much one read gives; then the carrier says once that more must be waited for. */
    size_t piece;
    bool waits;
    int fd;
};

/* The carrier of a struct server. */
extern const diskdelta_carrier_functions server_functions;

/* A server without bytes yet, after the greeting; the input says how much one read gives. */
struct server begin_server(struct operations *operations);

/* It is read again from the start. */
void rewind_server(struct server *server);

/* Connects to it, with small limits. NULL, or a client that must be closed, connected or not: then `*is_well` says so.
 */
diskdelta_client *connect_to_server(struct server *server, const diskdelta_allocator *allocator, bool *is_well);

enum asked_kind { ASKED_CHANGES, ASKED_ALLOCATION, ASKED_JOB };

/* What is asked, and what the server claims, as far as the model needs it. */
struct claim {
    uint64_t offset;
    uint64_t length;
    uint64_t position;
    uint64_t unit;
    enum asked_kind kind;
    /* What the question says beside its window; of an allocation, what that can say. */
    diskdelta_get_virtual_disk_changes_request request;
};

/* A question, mostly about changes and without wishes. */
struct claim take_question(struct operations *operations);

/* The parts of a range answer, mostly such as the claim allows. */
void make_header(struct bytes *message, struct claim *claim, struct operations *operations);
void make_runs(struct bytes *message, struct claim *claim, struct operations *operations);
void make_bitmap(struct bytes *message, struct claim *claim, struct operations *operations);

/* What was handed out, counted by the simplest means. */
struct counted {
    uint64_t ranges;
    uint64_t data_bytes;
    uint64_t zero_bytes;
    uint64_t offset_sum;
    uint64_t end;
    diskdelta_range_kind kind;
};

/* Holds a header against section 15 of Docs/Protocol.md and the question. */
void check_header(const struct claim *asked, const diskdelta_answer_header *header);

/* Holds a batch against section 15 of Docs/Protocol.md. */
void check_batch(struct counted *counted, const diskdelta_batch *batch, const diskdelta_answer_header *header,
                 uint64_t *position);

/* The details of an end as they should be, if the model is right about what the client will count; or, where `wrong` is
 * from 1 to 9, with something wrong. */
void make_details(struct bytes *details, const struct claim *claim, const struct counted *counted, uint8_t wrong);

#endif
