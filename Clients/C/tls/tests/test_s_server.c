/*
 * The example `list-changes-tls` with a TLS server that is not ours: `openssl s_server`, which says what it reads from
 * its standard input.
 */
#include "frames.h"
#include "test.h"
#include "tls_front.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPENSSL_SERVER                                                                                                 \
    "openssl s_server -accept 127.0.0.1:0 -cert " CERTIFICATE("server.pem") " -key " CERTIFICATE("server.key")

struct s_server {
    pid_t process;
    FILE *input;
    FILE *output;
    char address[64];
};

/* Starts the server with more options, and waits until it says which port it listens on. */
static struct s_server start(const char *options)
{
    struct s_server server = {0};
    int input[2];
    int output[2];
    assert_int_equal(pipe(input), 0);
    assert_int_equal(pipe(output), 0);
    char command[2048];
    snprintf(command, sizeof command, "exec " OPENSSL_SERVER " %s 2>&1", options);
    server.process = fork();
    assert_true(server.process >= 0);
    if (server.process == 0) {
        (void)dup2(input[0], STDIN_FILENO);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)close(input[1]);
        (void)close(output[0]);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    (void)close(input[0]);
    (void)close(output[1]);
    server.input = fdopen(input[1], "w");
    server.output = fdopen(output[0], "r");
    char line[256];
    bool is_listening = false;
    while (!is_listening && fgets(line, sizeof line, server.output) != NULL)
        is_listening = sscanf(line, "ACCEPT %63s", server.address) == 1;
    assert_true(is_listening);
    return server;
}

static void say(const struct s_server *server, struct bytes bytes)
{
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, server->input), bytes.size);
    assert_int_equal(fflush(server->input), 0);
    bytes_free(&bytes);
}

/* Answers once the question is there, which the server writes to its output; gives what the program says till its end.
 */
static void converse(const struct s_server *server, FILE *program, char *output, size_t capacity)
{
    struct bytes hello = {0};
    struct bytes answer = {0};
    append_hello(&hello);
    append_recorded(&answer, NULL);
    say(server, hello);
    char heard[65536];
    size_t size = 0;
    size_t said = 0;
    bool is_asked = false;
    for (;;) {
        struct pollfd entries[2] = {{.fd = fileno(server->output), .events = POLLIN},
                                    {.fd = fileno(program), .events = POLLIN}};
        assert_true(poll(entries, 2, -1) > 0);
        if (entries[0].revents != 0 && size < sizeof heard) {
            ssize_t count = read(entries[0].fd, heard + size, sizeof heard - size);
            assert_true(count > 0);
            size += (size_t)count;
        }
        if (!is_asked && memmem(heard, size, "disks/a.vhdx", strlen("disks/a.vhdx")) != NULL) {
            is_asked = true;
            say(server, answer);
        }
        if (entries[1].revents != 0 && said < capacity - 1) {
            ssize_t count = read(entries[1].fd, output + said, capacity - 1 - said);
            if (count <= 0)
                break;
            said += (size_t)count;
        }
    }
    if (!is_asked)
        bytes_free(&answer);
}

static void stop(struct s_server *server)
{
    (void)kill(server->process, SIGKILL);
    (void)waitpid(server->process, NULL, 0);
    (void)fclose(server->input);
    (void)fclose(server->output);
}

struct run {
    int code;
    char output[1024];
};

/* Both outputs of the example, and its exit code, with a server that was given these options. */
static struct run run(const char *server_options, const char *options)
{
    struct run run = {0};
    struct s_server server = start(server_options);
    char command[2048];
    snprintf(command, sizeof command, "'%s' %s '%s' disks/a.vhdx '{1}' 2>&1", LIST_CHANGES_TLS, options,
             server.address);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    converse(&server, pipe, run.output, sizeof run.output);
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    run.code = WEXITSTATUS(status);
    stop(&server);
    return run;
}

static void assert_complete(struct run run)
{
    assert_string_equal(
        run.output, "1024 512 data\n1536 2048 zero\n8192 512 data\n9216 2560 data\n20480 512 zero\n61440 4096 data\n");
    assert_int_equal(run.code, 0);
}

static void assert_says(struct run run, int code, const char *words)
{
    if (run.code != code || strstr(run.output, words) == NULL)
        fail_msg("exit code %d: %s", run.code, run.output);
}

#define TRUSTING "--ca " CERTIFICATE("ca.pem")
#define DEMANDING "-alpn diskdelta/1 -Verify 1 -verify_return_error -CAfile " CERTIFICATE("ca.pem")

static void test_right(void **state)
{
    (void)state;
    assert_complete(run("-alpn diskdelta/1", TRUSTING));
    assert_complete(run("-alpn h2,diskdelta/1 -tls1_3", TRUSTING " --server-name disks.test"));
}

static void test_wrong_authority_and_name(void **state)
{
    (void)state;
    assert_says(run("-alpn diskdelta/1", ""), 4, "not among the authorities of this system");
    assert_says(run("-alpn diskdelta/1", TRUSTING " --server-name not.there"), 4,
                "is not for not.there, but for DNS:localhost, DNS:disks.test, IP:127.0.0.1, IP:::1");
}

static void test_without_the_protocol(void **state)
{
    (void)state;
    assert_says(run("", TRUSTING), 4, "ALPN diskdelta/1");
    assert_says(run("-alpn h2", TRUSTING), 4, "ALPN diskdelta/1");
    assert_says(run("-alpn diskdelta/1 -tls1_2", TRUSTING), 4, "does not speak TLS 1.3");
}

static void test_client_certificate(void **state)
{
    (void)state;
    assert_complete(
        run(DEMANDING, TRUSTING " --certificate " CERTIFICATE("client.pem") " --key " CERTIFICATE("client.key")));
    assert_says(run(DEMANDING, TRUSTING), 4, "asks for a client's certificate, and none was given");
    assert_says(
        run(DEMANDING, TRUSTING " --certificate " CERTIFICATE("stranger.pem") " --key " CERTIFICATE("stranger.key")), 4,
        "does not accept the client's certificate in ");
}

static void test_files(void **state)
{
    (void)state;
    assert_says(run("-alpn diskdelta/1", "--ca " CERTIFICATE("missing.pem")), 2, "missing.pem: No such file");
    assert_says(run("-alpn diskdelta/1", TRUSTING " --token-file " CERTIFICATE("missing")), 2, "there is no token in");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_wrong_authority_and_name),
        cmocka_unit_test(test_without_the_protocol),
        cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
