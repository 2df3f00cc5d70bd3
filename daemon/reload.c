/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing; puts new parts in the place of old ones. */
#include "daemon/reload.h"

#include "base/log.h"
#include "daemon/parts.h"

/* Clients whose token is gone are gone, too. Returns whether the file was fine. */
static bool reload_tokens(struct parts *parts)
{
    char fault[AUTH_ERROR_BYTES];
    struct auth *former = parts->auth;

    if (parts->config->token_file[0] == '\0')
        return true;
    if (auth_load(parts->config->token_file, &parts->auth, fault) < 0) {
        log_error("%s; the former tokens stay in force", fault);
        return false;
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
    log_info("reloaded: %zu tokens", auth_count(parts->auth));
    return true;
}

/* The settings; a fault leaves all as they were. Returns whether there was none. */
static bool reload_settings(struct parts *parts)
{
    static struct config config; /* parts borrow it from the first reload on */
    struct config_changes changes;
    char fault[CONFIG_ERROR_BYTES];

    if (parts->config != &config)
        config = *parts->config;
    if (config_reload(&config, &changes, fault) < 0) {
        log_error("%s; the former settings stay in force", fault);
        return false;
    }
    parts->config = &config;
    access_settings(&parts->access, &config);
    log_init("simcastd", config.log_level);
    if (changes.applied[0] != '\0')
        log_info("reloaded: %s", changes.applied);
    if (changes.need_restart[0] != '\0')
        log_warning("changed, but only a restart brings it into force: %s", changes.need_restart);
    return true;
}

static bool reload_certificate(struct parts *parts)
{
    const struct ws_tls tls = parts_tls(parts);

    if (tls.certificate_path[0] == '\0')
        return true;
    if (ws_reload_tls(parts->ws, &tls) < 0) {
        log_error("cannot use %s with %s; the former certificate stays in force",
                  tls.certificate_path, tls.key_path);
        return false;
    }
    log_info("reloaded: the certificate and its key");
    return true;
}

void reload(struct parts *parts)
{
    bool settings = reload_settings(parts);
    bool tokens = reload_tokens(parts);
    bool certificate = reload_certificate(parts);

    if (settings && tokens && certificate)
        log_info("reloaded all that can be while running: tokens, certificate, names, limits, "
                 "log_level");
    else
        log_warning("reloaded in part, see above; correct it and send SIGHUP again");
}
