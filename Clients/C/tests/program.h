/* Programs that tests run. */
#ifndef PROGRAM_H
#define PROGRAM_H

struct run {
    int code;
    /* Both outputs, as far as there is room. */
    char output[4096];
};

/* Runs a command of the shell to its end, which must be an exit. */
struct run run_program(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
