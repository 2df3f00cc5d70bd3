/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing but who holds the lease. A token is compared, kept with its client, never logged. */
#include "daemon/access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"

#define REPLY_BYTES 160
#define LEASE_SUBJECT "telemetry.operator.lease"

static unsigned viewers(const struct access *access)
{
    unsigned count = 0;

    for (unsigned i = 0; i < fanout_connections(access->fanout); i++)
        count += fanout_client(access->fanout, i)->role == AUTH_VIEWER;
    return count;
}

static bool room_for_viewer(const struct access *access)
{
    return viewers(access) + access->operator_slots < access->clients_max;
}

static unsigned from(const struct access *access, const char *address)
{
    unsigned count = 0;

    for (unsigned i = 0; i < fanout_connections(access->fanout); i++)
        count += strcmp(fanout_client(access->fanout, i)->address, address) == 0;
    return count;
}

/* The role that a header shows; AUTH_NONE: no header, or (returning -EACCES) a wrong one. */
static int role_of(const struct access *access, const char *authorization, enum auth_role *ret_role,
                   const char **ret_name)
{
    const char *token = auth_bearer(authorization);

    *ret_role = AUTH_NONE;
    if (authorization[0] == '\0')
        return 0;
    if (token)
        *ret_role = auth_check(access->auth, token, ret_name);
    return *ret_role == AUTH_NONE ? -EACCES : 0;
}

static unsigned present(const struct access *access)
{
    unsigned count = 0;

    for (unsigned i = 0; i < fanout_connections(access->fanout); i++)
        count += !fanout_client(access->fanout, i)->ended;
    return count;
}

/*
 * Whether there is room for one more. In a full house, who has longest been there without showing a
 * token makes room, so that nobody who has none can keep out those who have.
 */
static bool make_room(struct access *access)
{
    struct client *oldest = NULL;

    if (present(access) < access->clients_max)
        return true;
    for (unsigned i = 0; i < fanout_connections(access->fanout); i++) {
        struct client *client = fanout_client(access->fanout, i);
        if (client->held && !client->ended &&
            (!oldest || client->connected_ns < oldest->connected_ns))
            oldest = client;
    }
    if (!oldest)
        return false;
    oldest->ended = true;
    access->counters->clients_over_limit++;
    ws_peer_close(oldest->peer, WS_CLOSE_TRY_LATER);
    return true;
}

static unsigned check_room(struct access *access, const char *address, enum auth_role role)
{
    if (access->clients_per_address > 0 && from(access, address) >= access->clients_per_address)
        return 429;
    if ((role == AUTH_VIEWER && !room_for_viewer(access)) || !make_room(access))
        return 503;
    return 0;
}

static unsigned check(struct access *access, const struct http_request *request, bool joins,
                      bool late)
{
    enum auth_role role = AUTH_NONE;
    const char *name;

    /* No browser speaks over a unix socket: a proxy does, which answers for the name. */
    bool browser = strcmp(request->address, "unix") != 0;
    if (!http_host_allowed(request->host, access->allowed_hosts, access->loopback && browser))
        return 421;
    if (!http_origin_allowed(request->origin, request->host, access->allowed_origins))
        return 403;
    if (access->auth) {
        int error = role_of(access, request->authorization, &role, &name);
        if (error < 0 || (role == AUTH_NONE && !late))
            return 401;
    }
    return joins ? check_room(access, request->address, role) : 0;
}

unsigned access_request(struct access *access, const struct http_request *request, bool joins,
                        bool late)
{
    unsigned status = check(access, request, joins, late);

    if (status == 401)
        access->counters->clients_unauthorized++;
    else if (status == 429 || status == 503)
        access->counters->clients_over_limit++;
    else if (status != 0)
        access->counters->clients_refused++;
    return status;
}

static void let_in(struct client *client, enum auth_role role, const char *name, const char *token)
{
    client->role = role;
    snprintf(client->name, sizeof(client->name), "%s", name);
    snprintf(client->token, sizeof(client->token), "%s", token);
}

int access_join(struct access *access, struct client *client, const char *authorization)
{
    enum auth_role role;
    const char *name = "";

    client->allowance = access->commands_per_s;
    if (!access->auth)
        return 0;
    if (role_of(access, authorization, &role, &name) < 0)
        return -EACCES;
    if (role == AUTH_NONE)
        fanout_hold(access->fanout, client);
    else
        let_in(client, role, name, auth_bearer(authorization));
    return 0;
}

static void reply(struct access *access, struct client *client, const char *json)
{
    char text[1 + REPLY_BYTES];
    int length = snprintf(text, sizeof(text), "%c%s", ACCESS_MESSAGE_TYPE, json);
    struct message *message = message_new(text, (size_t)length);

    if (message)
        client_send(client, message, access->counters);
    message_unref(message);
}

static void write_lease(const struct access *access, char json[REPLY_BYTES])
{
    const struct client *holder = access->holder;

    if (holder)
        snprintf(json, REPLY_BYTES, "{\"holder\":\"%s\",\"client\":%u}", holder->name, holder->id);
    else
        snprintf(json, REPLY_BYTES, "{\"holder\":null,\"client\":null}");
}

/* Tells a newcomer who commands. */
static void tell_lease(struct access *access, struct client *client)
{
    char json[REPLY_BYTES];
    struct message *message = NULL;

    write_lease(access, json);
    if (message_new_telemetry(LEASE_SUBJECT, json, strlen(json), &message) == 0)
        client_send(client, message, access->counters);
    message_unref(message);
}

/* Tells everybody who commands. */
static void give_lease(struct access *access, struct client *client)
{
    char json[REPLY_BYTES];

    access->holder = client;
    write_lease(access, json);
    log_info("operator: %s", client ? client->name : "nobody");
    fanout_telemetry(access->fanout, LEASE_SUBJECT, json, strlen(json));
}

void access_leave(struct access *access, struct client *client)
{
    if (access->holder == client)
        give_lease(access, NULL);
}

static enum access_verdict authenticate(struct access *access, struct client *client,
                                        const char *token)
{
    const char *name = "";
    char json[REPLY_BYTES];
    enum auth_role role = token ? auth_check(access->auth, token, &name) : AUTH_NONE;

    if (role == AUTH_NONE) {
        access->counters->clients_unauthorized++;
        return ACCESS_VIOLATION;
    }
    if (role == AUTH_VIEWER && !room_for_viewer(access)) {
        access->counters->clients_over_limit++;
        return ACCESS_FULL;
    }
    let_in(client, role, name, token);
    fanout_admit(access->fanout, client);
    snprintf(json, sizeof(json),
             "{\"type\":\"auth\",\"status\":\"ok\",\"role\":\"%s\",\"name\":\"%s\",\"client\":%u}",
             auth_role_name(role), name, client->id);
    reply(access, client, json);
    tell_lease(access, client);
    return ACCESS_WELCOME;
}

static enum access_verdict lease(struct access *access, struct client *client, const char *action)
{
    if (!action || client->role != AUTH_OPERATOR)
        return ACCESS_IGNORED;
    if (strcmp(action, "take") == 0 && access->holder != client)
        give_lease(access, client);
    else if (strcmp(action, "release") == 0 && access->holder == client)
        give_lease(access, NULL);
    return ACCESS_DONE;
}

static enum access_verdict signaling(struct access *access, struct client *client, json_t *root)
{
    const char *type = json_string_value(json_object_get(root, "type"));

    if (type && strcmp(type, "auth") == 0 && client->held)
        return authenticate(access, client, json_string_value(json_object_get(root, "token")));
    if (client->held)
        return ACCESS_VIOLATION;
    if (type && strcmp(type, "lease") == 0)
        return lease(access, client, json_string_value(json_object_get(root, "action")));
    return ACCESS_OK;
}

enum access_verdict access_message(struct access *access, struct client *client,
                                   const uint8_t *bytes, size_t size)
{
    if (!access->auth || size == 0 || bytes[0] != ACCESS_MESSAGE_TYPE)
        return client->held ? ACCESS_VIOLATION : ACCESS_OK;
    json_t *root = json_loadb((const char *)bytes + 1, size - 1, 0, NULL);
    enum access_verdict verdict = signaling(access, client, root);
    json_decref(root);
    return verdict;
}

const char *access_command(struct access *access, struct client *client, enum command_action action)
{
    if (!access->auth || action == COMMAND_ESTOP || action == COMMAND_FORCE_IDR)
        return NULL;
    if (client->role != AUTH_OPERATOR)
        return "only an operator may do this";
    if (!access->holder)
        give_lease(access, client);
    return access->holder == client ? NULL : "another operator holds the lease";
}

bool access_rate(struct access *access, struct client *client, int64_t now_ns)
{
    double full = access->commands_per_s;
    double elapsed_s = (double)(now_ns - client->allowance_ns) / (double)NS_PER_S;

    if (client->allowance_ns > 0)
        client->allowance += elapsed_s * full;
    if (client->allowance > full)
        client->allowance = full;
    client->allowance_ns = now_ns;
    if (client->allowance < 1) {
        access->counters->commands_over_rate++;
        return false;
    }
    client->allowance--;
    return true;
}

bool access_expired(const struct client *client, int64_t now_ns)
{
    return client->held && now_ns - client->connected_ns >= ACCESS_PATIENCE_NS;
}

void access_settings(struct access *access, const struct config *config)
{
    access->allowed_origins = config->allowed_origins;
    access->allowed_hosts = config->allowed_hosts;
    access->clients_max = config->clients_max;
    access->clients_per_address = config->clients_per_address;
    access->operator_slots = config->operator_slots;
    access->commands_per_s = config->commands_per_s;
}

void access_reload(struct access *access, struct auth *auth)
{
    access->auth = auth;
}

bool access_revoked(const struct access *access, const struct client *client)
{
    const char *name = "";

    return access->auth && !client->held &&
           (auth_check(access->auth, client->token, &name) != client->role ||
            strcmp(name, client->name) != 0);
}
