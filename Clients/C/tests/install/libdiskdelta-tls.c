/* Prints the version of the library, once a call that needs TLS has failed as it should. */
#include <diskdelta-tls.h>

#include <stdio.h>

int main(void)
{
    diskdelta_tls *tls = diskdelta_tls_create();
    diskdelta_tls_options secured = DISKDELTA_TLS_OPTIONS_INIT;
    secured.ca_file = "/nowhere/ca.pem";
    bool is_right = diskdelta_tls_configure(tls, &secured) == -1 &&
                    diskdelta_tls_error(tls)->reason == DISKDELTA_REASON_INVALID_PARAMETER;
    diskdelta_client *client = diskdelta_client_create(NULL);
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.security = diskdelta_tls_security(tls);
    is_right = is_right && diskdelta_client_connect(client, "unix:/nobody/listens/here", &options) == -1;
    diskdelta_client_close(client);
    diskdelta_tls_close(tls);
    if (!is_right)
        return 1;
    puts(diskdelta_version());
    return 0;
}
