/* Connections over TLS to servers that are as they should be, and to those that are not. */
#include "fake_server.h"
#include "test.h"
#include "tls_front.h"

#include <diskdelta-tls.h>

#include <openssl/ssl.h>

#include <string.h>

struct fixture {
    struct fake_script script;
    struct fake_server *server;
    diskdelta_range expected[RECORDED_RANGES];
    struct tls_front_script front_script;
    struct tls_front *front;
    diskdelta_tls *tls;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    append_hello(&fixture.script.hello);
    append_recorded(&fixture.script.answer, fixture.expected);
    fixture.server = fake_server_start(&fixture.script);
    fixture.front_script = tls_front_script(fake_server_address(fixture.server));
    fixture.front = tls_front_start(&fixture.front_script);
    fixture.tls = diskdelta_tls_create();
    *state = &fixture;
    return fixture.tls != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_close(fixture->tls);
    tls_front_stop(fixture->front);
    fake_server_stop(fixture->server);
    bytes_free(&fixture->script.hello);
    bytes_free(&fixture->script.answer);
    return 0;
}

/* What the tests configure: the right authority, no certificate of the client. */
static diskdelta_tls_options right_options(void)
{
    diskdelta_tls_options options = DISKDELTA_TLS_OPTIONS_INIT;
    options.ca_file = CERTIFICATE("ca.pem");
    return options;
}

static void configure(struct fixture *fixture, const diskdelta_tls_options *options)
{
    if (diskdelta_tls_configure(fixture->tls, options) != 0)
        fail_msg("%s", diskdelta_tls_error(fixture->tls)->message);
}

static int connect_client(struct fixture *fixture, diskdelta_client *client, const char *address)
{
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.connect_timeout_ms = 30000;
    options.security = diskdelta_tls_security(fixture->tls);
    return diskdelta_client_connect(client, address, &options);
}

/* Asks for the recorded answer, and finds it whole. */
static void assert_answers(struct fixture *fixture, diskdelta_client *client)
{
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
    const diskdelta_batch *batch = NULL;
    size_t count = 0;
    int more;
    while ((more = diskdelta_changes_next(changes, &batch)) == 1) {
        for (size_t i = 0; i < batch->count; i++, count++) {
            assert_in_range(count, 0, RECORDED_RANGES - 1);
            assert_int_equal(batch->ranges[i].offset, fixture->expected[count].offset);
            assert_int_equal(batch->ranges[i].length, fixture->expected[count].length);
        }
    }
    if (more != 0)
        fail_msg("%s", diskdelta_changes_error(changes)->message);
    assert_int_equal(count, RECORDED_RANGES);
    diskdelta_changes_close(changes);
}

static void assert_works(struct fixture *fixture, const char *address)
{
    diskdelta_client *client = diskdelta_client_create(NULL);
    if (connect_client(fixture, client, address) != 0)
        fail_msg("%s", diskdelta_client_error(client)->message);
    assert_answers(fixture, client);
    diskdelta_client_close(client);
}

/* Connecting fails for this reason, and the message says `words`. */
static void assert_fails(struct fixture *fixture, const char *address, diskdelta_reason reason, const char *words)
{
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(connect_client(fixture, client, address), -1);
    const diskdelta_error *error = diskdelta_client_error(client);
    if (error->reason != reason || strstr(error->message, words) == NULL)
        fail_msg("%s: %s", diskdelta_reason_name(error->reason), error->message);
    diskdelta_client_close(client);
}

/* ---- Who is let in --------------------------------------------------------------------------------------------- */

static void test_right_by_address_and_by_name(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    assert_works(fixture, tls_front_address(fixture->front));
    char by_name[64];
    snprintf(by_name, sizeof by_name, "localhost:%s", strrchr(tls_front_address(fixture->front), ':') + 1);
    assert_works(fixture, by_name);
    options.server_name = "disks.test";
    configure(fixture, &options);
    assert_works(fixture, tls_front_address(fixture->front));
    options.server_name = "::1";
    configure(fixture, &options);
    assert_works(fixture, tls_front_address(fixture->front));
}

static void test_a_byte_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    fixture->front_script.piece = 1;
    fixture->script.piece = 1;
    assert_works(fixture, tls_front_address(fixture->front));
}

static void test_client_certificate(void **state)
{
    struct fixture *fixture = *state;
    fixture->front_script.client_authority = CERTIFICATE("ca.pem");
    diskdelta_tls_options options = right_options();
    options.certificate_file = CERTIFICATE("client.pem");
    options.key_file = CERTIFICATE("client.key");
    configure(fixture, &options);
    assert_works(fixture, tls_front_address(fixture->front));
    options.key_file = CERTIFICATE("client-locked.key");
    options.key_password = "secret";
    configure(fixture, &options);
    assert_works(fixture, tls_front_address(fixture->front));
    options.certificate_file = CERTIFICATE("client-and-key.pem");
    options.key_file = NULL;
    options.key_password = NULL;
    configure(fixture, &options);
    assert_works(fixture, tls_front_address(fixture->front));
}

static void test_client_certificate_not_accepted(void **state)
{
    struct fixture *fixture = *state;
    fixture->front_script.client_authority = CERTIFICATE("ca.pem");
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED,
                 "the server asks for a client's certificate, and none was given");
    options.certificate_file = CERTIFICATE("stranger.pem");
    options.key_file = CERTIFICATE("stranger.key");
    configure(fixture, &options);
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED, "stranger.pem");
}

/* ---- Whom the client trusts ------------------------------------------------------------------------------------ */

static void test_wrong_authority(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    options.ca_file = CERTIFICATE("other-ca.pem");
    configure(fixture, &options);
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED,
                 "\"CN=Test CA\", which is not among the authorities in ");
    assert_int_equal(fixture->front_script.received, 0);
    configure(fixture, NULL);
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED,
                 "not among the authorities of this system");
    assert_int_equal(fixture->front_script.received, 0);
}

static void test_expired(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    fixture->front_script.certificate = "expired";
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED,
                 "\"CN=expired\" expired on ");
    assert_int_equal(fixture->front_script.received, 0);
}

static void test_wrong_name(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    fixture->front_script.certificate = "elsewhere";
    const char *address = tls_front_address(fixture->front);
    assert_fails(fixture, address, DISKDELTA_REASON_UNAUTHENTICATED,
                 "is not for 127.0.0.1, but for DNS:elsewhere.test, IP:192.0.2.1");
    /* The subject's own name, which is this one, does not count. */
    options.server_name = "localhost";
    configure(fixture, &options);
    assert_fails(fixture, address, DISKDELTA_REASON_UNAUTHENTICATED, "is not for localhost, but for ");
    assert_int_equal(fixture->front_script.received, 0);
    options.server_name = "elsewhere.test";
    configure(fixture, &options);
    assert_works(fixture, address);
}

static void test_certificate_for_clients(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    options.server_name = "client.test";
    configure(fixture, &options);
    fixture->front_script.certificate = "client";
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED, "cannot be trusted");
}

/* ---- What is spoken -------------------------------------------------------------------------------------------- */

static void test_other_protocol(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    /* P-81: nothing is sent where no protocol was agreed upon. */
    fixture->front_script.protocol = NULL;
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED, "ALPN diskdelta/1");
    tls_front_settle(fixture->front);
    assert_int_equal(fixture->front_script.received, 0);
    fixture->front_script.protocol = "h2";
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED, "ALPN diskdelta/1");
}

static void test_older_version(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    fixture->front_script.max_version = TLS1_2_VERSION;
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED,
                 "does not speak TLS 1.3");
}

static void test_server_without_tls(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    /* A DiskDelta server without TLS, and something else. */
    fixture->front_script.plain = "\x89"
                                  "DDP\r\n\x1a\n";
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED, "does not speak TLS");
    fixture->front_script.plain = "SSH-2.0-OpenSSH_9.2\r\n";
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED, "does not speak TLS");
}

/* ---- The handle ------------------------------------------------------------------------------------------------ */

static void test_without_handle_nothing_goes_plain(void **state)
{
    struct fixture *fixture = *state;
    /* Not configured. */
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_INVALID_PARAMETER, "not configured");
    diskdelta_tls_close(fixture->tls);
    fixture->tls = NULL;
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_INVALID_PARAMETER,
                 "there is no TLS handle");
    assert_int_equal(diskdelta_tls_configure(NULL, NULL), -1);
    assert_int_equal(diskdelta_tls_error(NULL)->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
}

static void test_unix_socket_needs_a_name(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    assert_fails(fixture, fake_server_address(fixture->server), DISKDELTA_REASON_INVALID_PARAMETER, "server_name");
}

/* A configuration fails with a message that says `words` and names the file. */
static void assert_rejects(struct fixture *fixture, const diskdelta_tls_options *options, const char *file,
                           const char *words)
{
    assert_int_equal(diskdelta_tls_configure(fixture->tls, options), -1);
    const diskdelta_error *error = diskdelta_tls_error(fixture->tls);
    assert_int_equal(error->reason, DISKDELTA_REASON_INVALID_PARAMETER);
    assert_int_equal(error->status, DISKDELTA_STATUS_INVALID_ARGUMENT);
    if (strstr(error->message, file) == NULL || strstr(error->message, words) == NULL)
        fail_msg("%s", error->message);
}

static void test_files_that_cannot_be_used(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options right = right_options();
    configure(fixture, &right);

    diskdelta_tls_options options = right;
    options.ca_file = CERTIFICATE("missing.pem");
    assert_rejects(fixture, &options, "missing.pem", "No such file or directory");
    options.ca_file = CERTIFICATE("nothing.pem");
    assert_rejects(fixture, &options, "nothing.pem", "holds no certificate");
    options.ca_file = CERTIFICATE("spoilt.pem");
    assert_rejects(fixture, &options, "spoilt.pem", "cannot be read");

    options = right;
    options.key_file = CERTIFICATE("client.key");
    assert_rejects(fixture, &options, "client.key", "no certificate");
    options.certificate_file = CERTIFICATE("missing.pem");
    assert_rejects(fixture, &options, "missing.pem", "No such file or directory");
    options.certificate_file = CERTIFICATE("nothing.pem");
    assert_rejects(fixture, &options, "nothing.pem", "holds no certificate");
    options.certificate_file = CERTIFICATE("spoilt.pem");
    assert_rejects(fixture, &options, "spoilt.pem", "cannot be read");
    options.certificate_file = CERTIFICATE("old-client.pem");
    assert_rejects(fixture, &options, "old-client.pem", "expired on");

    options.certificate_file = CERTIFICATE("client.pem");
    options.key_file = CERTIFICATE("missing.key");
    assert_rejects(fixture, &options, "missing.key", "No such file or directory");
    options.key_file = CERTIFICATE("nothing.pem");
    assert_rejects(fixture, &options, "nothing.pem", "holds no private key");
    options.key_file = NULL;
    assert_rejects(fixture, &options, "client.pem", "holds no private key");
    options.key_file = CERTIFICATE("stranger.key");
    assert_rejects(fixture, &options, "stranger.key", "does not belong to the certificate in");
    options.key_file = CERTIFICATE("client-locked.key");
    assert_rejects(fixture, &options, "client-locked.key", "none was given");
    options.key_password = "wrong";
    assert_rejects(fixture, &options, "client-locked.key", "does not open");

    options = right;
    options.struct_size = 0;
    assert_rejects(fixture, &options, "", "DISKDELTA_TLS_OPTIONS_INIT");

    /* What was configured before is what holds. */
    assert_works(fixture, tls_front_address(fixture->front));
}

static void test_new_files_for_new_connections(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    configure(fixture, &options);
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(connect_client(fixture, client, tls_front_address(fixture->front)), 0);
    options.ca_file = CERTIFICATE("other-ca.pem");
    configure(fixture, &options);
    assert_answers(fixture, client);
    diskdelta_client_close(client);
    assert_fails(fixture, tls_front_address(fixture->front), DISKDELTA_REASON_UNAUTHENTICATED, "authorities");
}

static void test_older_program(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_tls_options options = right_options();
    options.server_name = "not.there";
    options.struct_size = offsetof(diskdelta_tls_options, server_name);
    configure(fixture, &options);
    assert_works(fixture, tls_front_address(fixture->front));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(right_by_address_and_by_name),
        TEST(a_byte_at_a_time),
        TEST(client_certificate),
        TEST(client_certificate_not_accepted),
        TEST(wrong_authority),
        TEST(expired),
        TEST(wrong_name),
        TEST(certificate_for_clients),
        TEST(other_protocol),
        TEST(older_version),
        TEST(server_without_tls),
        TEST(without_handle_nothing_goes_plain),
        TEST(unix_socket_needs_a_name),
        TEST(files_that_cannot_be_used),
        TEST(new_files_for_new_connections),
        TEST(older_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
