/* What a header must say to answer a question, rule by rule; and what is asked again. */
#include "question.h"
#include "test.h"

#include <string.h>

/* A question, and the header that answers it. A test spoils either. */
struct pair {
    struct dd_question question;
    diskdelta_answer_header header;
};

static struct pair changes(void)
{
    struct pair pair = {.question = {.kind = DD_QUESTION_OF_CHANGES},
                        .header = {.disk = "d",
                                   .format = DISKDELTA_IMAGE_FORMAT_VHDX,
                                   .size = 65536,
                                   .since = "b",
                                   .target = "",
                                   .epoch = "e",
                                   .granularity = 4096,
                                   .basis = DISKDELTA_ANSWER_BASIS_CHANGES,
                                   .unit = 512,
                                   .basis_message = ""}};
    pair.question.request.changes =
        (diskdelta_get_virtual_disk_changes_request)DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    pair.question.request.changes.path = "d";
    pair.question.request.changes.limit_id = "b";
    return pair;
}

/* What is answered in place of the changes. */
static struct pair fallback(diskdelta_on_unavailable on_unavailable, diskdelta_answer_basis basis)
{
    struct pair pair = changes();
    pair.question.request.changes.on_unavailable = on_unavailable;
    pair.header.since = "";
    pair.header.basis = basis;
    pair.header.basis_reason = DISKDELTA_REASON_BASELINE_UNKNOWN;
    pair.header.basis_message = "nothing bears the id b";
    return pair;
}

static struct pair allocation(void)
{
    struct pair pair = changes();
    pair.question.kind = DD_QUESTION_OF_ALLOCATION;
    pair.question.request.allocation =
        (diskdelta_get_virtual_disk_allocation_request)DISKDELTA_GET_VIRTUAL_DISK_ALLOCATION_REQUEST_INIT;
    pair.question.request.allocation.path = "d";
    pair.header.since = "";
    pair.header.basis = DISKDELTA_ANSWER_BASIS_ALLOCATED;
    return pair;
}

static struct pair job(void)
{
    struct pair pair = changes();
    pair.question.kind = DD_QUESTION_OF_JOB;
    pair.question.request.job = (diskdelta_job_results_request)DISKDELTA_JOB_RESULTS_REQUEST_INIT;
    pair.question.request.job.id = "j";
    return pair;
}

static void assert_answered(struct pair pair)
{
    const char *broken = dd_question_answered_by(&pair.question, &pair.header);
    if (broken != NULL)
        fail_msg("%s", broken);
}

static void assert_breaks(const char *rule, struct pair pair)
{
    const char *broken = dd_question_answered_by(&pair.question, &pair.header);
    if (broken == NULL || strncmp(broken, rule, strlen(rule)) != 0)
        fail_msg("%s, where %s is broken", broken != NULL ? broken : "nothing", rule);
}

/* One thing is another, and the rule is broken; or not. */
#define BREAKS(rule, right, member, value)                                                                             \
    do {                                                                                                               \
        struct pair changed = (right);                                                                                 \
        changed.member = (value);                                                                                      \
        assert_breaks(rule, changed);                                                                                  \
    } while (0)
#define ANSWERS(right, member, value)                                                                                  \
    do {                                                                                                               \
        struct pair changed = (right);                                                                                 \
        changed.member = (value);                                                                                      \
        assert_answered(changed);                                                                                      \
    } while (0)

static void test_what_was_asked_is_repeated(void **state)
{
    (void)state;
    assert_answered(changes());
    assert_answered(allocation());
    assert_answered(job());
    BREAKS("P-100", changes(), header.disk, "e");
    BREAKS("P-100", changes(), header.disk, "");
    BREAKS("P-100", changes(), question.request.changes.path, NULL);
    BREAKS("P-100", changes(), header.epoch, "");
    BREAKS("P-100", changes(), header.target, "t");
    BREAKS("P-100", changes(), header.assumed_at_rest, true);
    BREAKS("P-100", changes(), question.request.changes.target_snapshot_id, "t");
    ANSWERS(changes(), question.request.changes.target_snapshot_id, "");
    BREAKS("P-100", changes(), question.request.changes.if_epoch, "f");
    ANSWERS(changes(), question.request.changes.if_epoch, "");
    ANSWERS(changes(), question.request.changes.if_epoch, "e");
    BREAKS("P-100", changes(), question.request.changes.has_if_size, true);
    /* Proved though nobody asked: more than was asked for. */
    ANSWERS(changes(), question.request.changes.assume_at_rest, true);

    struct pair sized = changes();
    sized.question.request.changes.has_if_size = true;
    sized.question.request.changes.if_size = 65536;
    assert_answered(sized);
    BREAKS("P-100", sized, header.size, 65537);
    struct pair assumed = changes();
    assumed.question.request.changes.assume_at_rest = true;
    ANSWERS(assumed, header.assumed_at_rest, true);

    BREAKS("P-100", allocation(), header.disk, "e");
    BREAKS("P-100", allocation(), header.target, "t");
    BREAKS("P-100", allocation(), header.assumed_at_rest, true);
    BREAKS("P-100", allocation(), question.request.allocation.if_epoch, "f");
    BREAKS("P-100", allocation(), question.request.allocation.has_if_size, true);
    ANSWERS(allocation(), question.request.allocation.assume_at_rest, true);

    BREAKS("P-100", job(), header.epoch, "");
    ANSWERS(job(), header.disk, "of the job");
    ANSWERS(job(), header.target, "t");
    ANSWERS(job(), header.assumed_at_rest, true);
}

/* Whether the basis is allowed, and whether what belongs to it must be there. */
static void check_basis(struct pair pair, bool is_allowed)
{
    if (!is_allowed) {
        assert_breaks("P-101", pair);
        return;
    }
    assert_answered(pair);
    BREAKS("P-101", pair, header.since, pair.header.since[0] == '\0' ? "b" : "");
    BREAKS("P-101", pair, header.basis_reason,
           pair.header.basis_reason == DISKDELTA_REASON_NONE ? DISKDELTA_REASON_INTERNAL : DISKDELTA_REASON_NONE);
    if (pair.header.basis_reason == DISKDELTA_REASON_NONE)
        BREAKS("P-101", pair, header.basis_message, "why");
}

static void test_the_basis_is_one_that_the_question_allows(void **state)
{
    (void)state;
    static const int bases[] = {-1, 0, 2, 3, 4, 99};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        diskdelta_answer_basis basis = (diskdelta_answer_basis)bases[i];
        check_basis(fallback(DISKDELTA_ON_UNAVAILABLE_FAIL, basis), false);
        check_basis(fallback(DISKDELTA_ON_UNAVAILABLE_ALLOCATED, basis), basis == DISKDELTA_ANSWER_BASIS_ALLOCATED);
        check_basis(fallback(DISKDELTA_ON_UNAVAILABLE_WHOLE, basis), basis == DISKDELTA_ANSWER_BASIS_WHOLE);
        check_basis(fallback((diskdelta_on_unavailable)7, basis), false);
        struct pair of_job = job();
        of_job.header = fallback(DISKDELTA_ON_UNAVAILABLE_FAIL, basis).header;
        check_basis(of_job, bases[i] == 2 || bases[i] == 3);
        struct pair allocated = allocation();
        allocated.header.basis = basis;
        check_basis(allocated, basis == DISKDELTA_ANSWER_BASIS_ALLOCATED);
    }
    check_basis(changes(), true);
    check_basis(job(), true);
    ANSWERS(changes(), question.request.changes.on_unavailable, DISKDELTA_ON_UNAVAILABLE_ALLOCATED);
    ANSWERS(changes(), question.request.changes.on_unavailable, DISKDELTA_ON_UNAVAILABLE_WHOLE);
    BREAKS("P-101", allocation(), header.basis, DISKDELTA_ANSWER_BASIS_CHANGES);
    /* A reason of a later version is one too. */
    ANSWERS(fallback(DISKDELTA_ON_UNAVAILABLE_WHOLE, DISKDELTA_ANSWER_BASIS_WHOLE), header.basis_reason,
            (diskdelta_reason)999);
}

static void test_the_format_is_named_known_or_not(void **state)
{
    (void)state;
    BREAKS("P-102", changes(), header.format, DISKDELTA_IMAGE_FORMAT_UNKNOWN);
    BREAKS("P-102", job(), header.format, DISKDELTA_IMAGE_FORMAT_UNKNOWN);
    ANSWERS(changes(), header.format, (diskdelta_image_format)99);
    BREAKS("P-102", changes(), question.request.changes.image_format, DISKDELTA_IMAGE_FORMAT_RAW);
    BREAKS("P-102", allocation(), question.request.allocation.image_format, DISKDELTA_IMAGE_FORMAT_RAW);
    ANSWERS(changes(), question.request.changes.image_format, DISKDELTA_IMAGE_FORMAT_VHDX);
    /* The format of a target may be that of another file of the chain. */
    struct pair target = changes();
    target.question.request.changes.target_snapshot_id = "t";
    target.header.target = "{t}";
    ANSWERS(target, question.request.changes.image_format, DISKDELTA_IMAGE_FORMAT_RAW);
}

static void test_the_granularity_is_not_below_what_was_asked_for(void **state)
{
    (void)state;
    BREAKS("P-103", changes(), question.request.changes.granularity, 8192);
    BREAKS("P-103", allocation(), question.request.allocation.granularity, 8192);
    ANSWERS(changes(), question.request.changes.granularity, 4096);
    ANSWERS(changes(), question.request.changes.granularity, 512);
}

/* P-77. */
static void test_all_but_window_and_epoch_is_asked_again(void **state)
{
    (void)state;
    diskdelta_allocator allocator = dd_allocator(NULL);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "d";
    request.limit_id = "b";
    request.target_snapshot_id = "t";
    request.granularity = 4096;
    request.on_unavailable = DISKDELTA_ON_UNAVAILABLE_WHOLE;
    request.assume_at_rest = true;
    request.image_format = DISKDELTA_IMAGE_FORMAT_RAW;
    request.has_if_size = true;
    request.if_size = 65536;
    struct dd_question question;
    assert_true(dd_question_of_changes(&question, &allocator, &request));
    struct dd_window rest = {.offset = 8192, .has_length = true, .length = 4096};
    dd_question_about_rest(&question, &rest, "e");
    const diskdelta_get_virtual_disk_changes_request *again = &question.request.changes;
    assert_string_equal(again->path, "d");
    assert_string_equal(again->limit_id, "b");
    assert_string_equal(again->target_snapshot_id, "t");
    assert_string_equal(again->if_epoch, "e");
    assert_true(again->byte_offset == 8192 && again->has_byte_length && again->byte_length == 4096);
    assert_int_equal(again->granularity, 4096);
    assert_int_equal(again->on_unavailable, DISKDELTA_ON_UNAVAILABLE_WHOLE);
    assert_true(again->assume_at_rest && again->has_if_size && again->if_size == 65536);
    assert_int_equal(again->image_format, DISKDELTA_IMAGE_FORMAT_RAW);
    dd_question_free(&question, &allocator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_asked_is_repeated),
        cmocka_unit_test(test_the_basis_is_one_that_the_question_allows),
        cmocka_unit_test(test_the_format_is_named_known_or_not),
        cmocka_unit_test(test_the_granularity_is_not_below_what_was_asked_for),
        cmocka_unit_test(test_all_but_window_and_epoch_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
