/* Prints the version of the library, once a call that needs all of it has failed as it should. */
#include <diskdelta.h>

#include <stdio.h>

int main(void)
{
    diskdelta_client *client = diskdelta_client_create(NULL);
    int result = diskdelta_client_connect(client, "unix:/nobody/listens/here", NULL);
    bool is_right = result == -1 && diskdelta_client_error(client)->reason == DISKDELTA_REASON_SERVER_UNAVAILABLE;
    diskdelta_client_close(client);
    if (!is_right)
        return 1;
    puts(diskdelta_version());
    return 0;
}
