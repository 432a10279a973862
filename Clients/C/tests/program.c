#include "program.h"

#include "test.h"

#include <stdio.h>
#include <sys/wait.h>

struct run run_program(const char *format, ...)
{
    struct run run = {0};
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_true(length > 0 && (size_t)length < sizeof command);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    run.output[fread(run.output, 1, sizeof run.output - 1, pipe)] = '\0';
    /* What there is no room for. */
    char rest[256];
    while (fread(rest, 1, sizeof rest, pipe) > 0)
        ;
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    run.code = WEXITSTATUS(status);
    return run;
}
