/*
 * One of many disks that are asked about in one call: what it was asked, and how far it was answered. The rules of its
 * messages (section 17 of Docs/Protocol.md) without the call that brings them.
 *
 * Every function that can find a rule broken gives a text that says which; NULL where all is well.
 */
#ifndef DD_DISK_H
#define DD_DISK_H

#include "answer.h"
#include "error.h"
#include "header.h"
#include "question.h"

struct dd_disk {
    struct dd_question question;
    struct dd_answer answer;
    /* The first header. */
    struct dd_kept_header header;
    /* All below was handed out. */
    uint64_t position;
    bool has_ended;
};

/* Once its question is kept. */
void dd_disk_begin(struct dd_disk *disk);

/* The call broke off: the disk's question is about what is missing from now on. */
void dd_disk_resume(struct dd_disk *disk);

/*
 * Its next message that is no end: a header, which is then kept where it is the first; or a batch, whose ranges are
 * then taken from `answer`.
 */
const char *dd_disk_take(struct dd_disk *disk, const diskdelta_range_answer *message, bool *is_first_header);

/* Keeps the first header. A text where there is no memory for it. */
const char *dd_disk_keep_header(struct dd_disk *disk, const diskdelta_allocator *allocator,
                                const diskdelta_answer_header *header);

/* Its end: complete, or failed with `error`. */
const char *dd_disk_end(struct dd_disk *disk, const diskdelta_batch_disk_end *end, bool *is_complete,
                        struct dd_error *error);

/* It has no end, and the call has failed of `why`. */
void dd_disk_abandon(struct dd_disk *disk, const diskdelta_error *why, struct dd_error *error);

void dd_disk_free(struct dd_disk *disk, const diskdelta_allocator *allocator);

#endif
