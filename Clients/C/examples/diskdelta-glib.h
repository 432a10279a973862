/*
 * A client as a source of GLib's main loop, small enough to copy.
 *
 *     diskdelta_client_set_waiting(client, false);
 *     GSource *source = diskdelta_glib_source_new(client);
 *     g_source_set_callback(source, look_at_the_streams, data, NULL);
 *     g_source_attach(source, NULL);
 *
 * The callback is called after each step of the client; it calls the _next functions of its streams until they give
 * DISKDELTA_WOULD_WAIT, and returns G_SOURCE_CONTINUE. Destroy the source before the client is closed.
 */
#ifndef DISKDELTA_GLIB_H
#define DISKDELTA_GLIB_H

#include <diskdelta.h>
#include <glib.h>

typedef struct diskdelta_glib_source {
    GSource source;
    diskdelta_client *client;
    /* What is polled; its fd is -1 for nothing. */
    GPollFD poll;
    gboolean is_added;
} diskdelta_glib_source;

/* The client's file descriptor and direction as they are now: they change whenever it connects. */
static gboolean diskdelta_glib_prepare(GSource *base, gint *timeout)
{
    diskdelta_glib_source *source = (diskdelta_glib_source *)base;
    int fd = diskdelta_client_fd(source->client);
    if (source->is_added && source->poll.fd != fd) {
        g_source_remove_poll(base, &source->poll);
        source->is_added = FALSE;
    }
    unsigned direction = diskdelta_client_direction(source->client);
    source->poll.fd = fd;
    source->poll.events = (gushort)(((direction & DISKDELTA_DIRECTION_READ) != 0 ? G_IO_IN | G_IO_HUP | G_IO_ERR : 0) |
                                    ((direction & DISKDELTA_DIRECTION_WRITE) != 0 ? G_IO_OUT | G_IO_ERR : 0));
    source->poll.revents = 0;
    if (fd >= 0 && !source->is_added) {
        g_source_add_poll(base, &source->poll);
        source->is_added = TRUE;
    }
    *timeout = diskdelta_client_timeout_ms(source->client);
    return *timeout == 0;
}

static gboolean diskdelta_glib_check(GSource *base)
{
    diskdelta_glib_source *source = (diskdelta_glib_source *)base;
    return (source->is_added && source->poll.revents != 0) || diskdelta_client_timeout_ms(source->client) == 0;
}

static gboolean diskdelta_glib_dispatch(GSource *base, GSourceFunc callback, gpointer data)
{
    diskdelta_glib_source *source = (diskdelta_glib_source *)base;
    if (source->is_added && (source->poll.revents & G_IO_OUT) != 0)
        diskdelta_client_notify_writable(source->client);
    if (source->is_added && (source->poll.revents & ~G_IO_OUT) != 0)
        diskdelta_client_notify_readable(source->client);
    if (diskdelta_client_timeout_ms(source->client) == 0)
        diskdelta_client_notify_timeout(source->client);
    return callback != NULL ? callback(data) : G_SOURCE_CONTINUE;
}

static inline GSource *diskdelta_glib_source_new(diskdelta_client *client)
{
    static GSourceFuncs functions = {
        .prepare = diskdelta_glib_prepare, .check = diskdelta_glib_check, .dispatch = diskdelta_glib_dispatch};
    GSource *base = g_source_new(&functions, sizeof(diskdelta_glib_source));
    diskdelta_glib_source *source = (diskdelta_glib_source *)base;
    source->client = client;
    source->poll.fd = -1;
    source->is_added = FALSE;
    return base;
}

#endif
