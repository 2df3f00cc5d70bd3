/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing; puts new parts in the place of old ones. */
#include "daemon/reload.h"

#include "base/log.h"
#include "daemon/parts.h"

/* Clients whose token is gone are gone, too. */
static void reload_tokens(struct parts *parts)
{
    char fault[AUTH_ERROR_BYTES];
    struct auth *former = parts->auth;

    if (parts->config->token_file[0] == '\0')
        return;
    if (auth_load(parts->config->token_file, &parts->auth, fault) < 0) {
        log_error("%s; the former tokens stay in force", fault);
        return;
    }
    access_reload(&parts->access, parts->auth);
    auth_free(former);
    for (unsigned i = 0; i < fanout_connections(parts->fanout); i++) {
        struct client *client = fanout_client(parts->fanout, i);
        if (!access_revoked(&parts->access, client))
            continue;
        parts->counters.clients_expelled++;
        ws_peer_close(client->peer, WS_CLOSE_VIOLATION);
    }
}

void reload(struct parts *parts)
{
    const struct ws_tls tls = parts_tls(parts);

    reload_tokens(parts);
    if (tls.certificate_path[0] != '\0' && ws_reload_tls(parts->ws, &tls) < 0)
        log_error("cannot use %s with %s; the former certificate stays in force",
                  tls.certificate_path, tls.key_path);
    log_info("reloaded: the tokens, the certificate and its key. Everything else, such as listen, "
             "bus_url and limits, needs a restart");
}
