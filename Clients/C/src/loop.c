/* What a program with an event loop of its own needs of a client. */
#include "client.h"

void diskdelta_client_set_waiting(diskdelta_client *client, bool waits)
{
    if (client != NULL)
        client->never_waits = !waits;
}

int diskdelta_client_fd(const diskdelta_client *client)
{
    return client != NULL ? dd_link_fd(&client->link) : -1;
}

unsigned diskdelta_client_direction(const diskdelta_client *client)
{
    return client != NULL ? dd_link_direction(&client->link) : 0;
}

int diskdelta_client_timeout_ms(const diskdelta_client *client)
{
    return client != NULL ? dd_until(dd_client_timeout(client)) : -1;
}

/* A carrier may have to write in order to read, so all three do the same. */
void diskdelta_client_notify_readable(diskdelta_client *client)
{
    if (client != NULL)
        dd_client_step(client);
}

void diskdelta_client_notify_writable(diskdelta_client *client)
{
    diskdelta_client_notify_readable(client);
}

void diskdelta_client_notify_timeout(diskdelta_client *client)
{
    diskdelta_client_notify_readable(client);
}
