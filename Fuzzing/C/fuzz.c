/*
 * Searches for bytes from a server that break the C client. Fuzzing/run starts it.
 *
 *     fuzz --targets               prints the names of the targets, one to a line
 *     fuzz --undamaged TARGET      prints an input that breaks nothing
 *     fuzz OPTION ... CORPUS ...   libFuzzer; DISKDELTA_FUZZ_TARGET names the target
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What libFuzzer calls: before it starts, and for every input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many allocations of one input fail in turn. */
enum { ALLOCATIONS = 64 };

struct target {
    const char *name;
    void (*run)(struct operations operations, struct scarce *scarce);
    /* Whether every allocation fails in turn. */
    bool gives_out;
};

static const struct target targets[] = {
#ifdef FUZZ_UNDEFINED
    {"c-core-undefined", run_core, false},
    {"c-answers-undefined", run_answers, false},
    {"c-many-undefined", run_many, false},
#else
    {"c-core", run_core, false},       {"c-answers", run_answers, false},       {"c-many", run_many, false},
    {"c-core-memory", run_core, true}, {"c-answers-memory", run_answers, true}, {"c-many-memory", run_many, true},
#endif
};

static const struct target *target;

static const struct target *named(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof targets / sizeof *targets; i++)
        if (strcmp(targets[i].name, name) == 0)
            return &targets[i];
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct operations operations = {data, size};
    struct scarce scarce = {.left = SIZE_MAX};
    target->run(operations, &scarce);
    expect(scarce.held == 0, "memory that is not given back");
    if (!target->gives_out)
        return 0;
    size_t count = scarce.asked < ALLOCATIONS ? scarce.asked : ALLOCATIONS;
    for (size_t left = 0; left < count; left++) {
        scarce = (struct scarce){.left = left};
        target->run(operations, &scarce);
        expect(scarce.held == 0, "memory that is not given back when there is no more");
    }
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *option = *argc > 1 ? (*argv)[1] : "";
    if (strcmp(option, "--targets") == 0) {
        for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
            printf("%s\n", targets[i].name);
        exit(0);
    }
    if (strcmp(option, "--undamaged") == 0) {
        /* The settings as they are, and the server's greeting. */
        static const uint8_t undamaged[] = {0, 1, 0, 0};
        exit(fwrite(undamaged, 1, sizeof undamaged, stdout) == sizeof undamaged ? 0 : 1);
    }
    target = named(getenv("DISKDELTA_FUZZ_TARGET"));
    if (target == NULL) {
        fprintf(stderr, "DISKDELTA_FUZZ_TARGET must name a target; --targets tells which there are.\n");
        exit(2);
    }
    return 0;
}
