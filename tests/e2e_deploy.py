#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcastd as a host runs it: sockets from elsewhere, secrets, reload, Prometheus, containers.

  tests/e2e_deploy.py BUILDDIR [WORD]...
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import urllib.parse
import urllib.request

import daemon_cases
from daemon_cases import case, check, equal, run_cases, simcastd, streaming
from daemon_kit import free_port, wait_until
from nats import NatsServer
from ws import Video, WebSocket

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTAINERS = ROOT / "containers"
VIEWER = "v" * 20


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("robot.example")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def status_over(path, url="/healthz"):
    connection = UnixConnection(path)
    try:
        connection.request("GET", url)
        return connection.getresponse().status
    finally:
        connection.close()


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="simcast-deploy-") as name:
        yield pathlib.Path(name)


# sockets


@case
def a_unix_socket_serves_those_of_its_group():
    with scratch() as directory:
        path = directory / "socket"
        with streaming("--listen", f"127.0.0.1:0, unix:{path}") as (daemon, _):
            equal(stat.S_IMODE(path.stat().st_mode), 0o660, "mode")
            equal(status_over(path), 200, "a proxy may use any name")
            with WebSocket(("robot.example", 80), unix=path) as client:
                check(client.receive(Video), "video")
            check(daemon.get("/healthz")[0] == 200, "TCP beside it")
            with simcastd("--listen", f"unix:{path}", wait=False) as second:
                equal(second.wait(), 1, "a second simcastd")
                check(str(path) in second.log and "in use" in second.log, second.log)
            equal(daemon.stop(), 0, "exit code")
            check(not path.exists(), "it is left behind")


@case
def a_unix_socket_that_nobody_listens_on_is_replaced():
    with scratch() as directory:
        path = directory / "socket"
        with simcastd("--listen", f"127.0.0.1:0,unix:{path}") as daemon:
            daemon.process.kill()
            daemon.wait()
        check(path.exists(), "killed: it stays")
        with simcastd("--listen", f"127.0.0.1:0,unix:{path}"):
            equal(status_over(path), 200, "served again")
        path.unlink()
        path.write_text("no socket")
        with simcastd("--listen", f"unix:{path}", wait=False) as daemon:
            equal(daemon.wait(), 1, "something else stands there")
        equal(path.read_text(), "no socket", "and is left alone")


@contextlib.contextmanager
def activated(directory, *addresses, arguments=()):
    """simcastd started by systemd-socket-activate; yields the process and its log's path."""
    listen = [word for address in addresses for word in ("--listen", str(address))]
    log = directory / "log"
    command = ["systemd-socket-activate", *listen, daemon_cases.build / "daemon" / "simcastd",
               "--ipc-dir", directory, "--legacy-path", directory / "frames", *arguments]
    with open(log, "wb") as file, subprocess.Popen(command, stderr=file, stdout=file) as process:
        try:
            yield process, log
        finally:
            process.kill()


@case
def sockets_of_systemd_take_the_place_of_listen():
    if not shutil.which("systemd-socket-activate"):
        print("skip systemd-socket-activate is missing; install the package systemd", flush=True)
        return
    with scratch() as directory:
        port, path = free_port(), directory / "socket"
        with activated(directory, f"127.0.0.1:{port}", path) as (process, log):
            check(wait_until(path.exists), "the socket")
            equal(status_over(path), 200, "the first connection starts it")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                equal(answer.status, 200, "over TCP")
            check(f"unix:{path}" in log.read_text() and f"127.0.0.1:{port}" in log.read_text(),
                  log.read_text())
            process.send_signal(signal.SIGTERM)
            equal(process.wait(5), 0, "exit code")
            check(path.exists(), "it is systemd's")


@case
def a_socket_of_systemd_that_others_can_reach_needs_tokens():
    if not shutil.which("systemd-socket-activate"):
        print("skip systemd-socket-activate is missing; install the package systemd", flush=True)
        return
    with scratch() as directory:
        port = free_port()
        with activated(directory, f"0.0.0.0:{port}") as (process, log):
            check(wait_until(lambda: "Listening" in log.read_text()), "not started")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as one:
                one.recv(1)
            equal(process.wait(5), 78, "exit code")
            check("needs tokens" in log.read_text(), log.read_text())


# secrets, reload


@case
def credentials_of_systemd_are_used():
    with scratch() as directory:
        tokens = directory / "simcast.tokens"
        tokens.touch(0o600)
        tokens.write_text(f"viewer wall {VIEWER}\n")
        with simcastd(environment={"CREDENTIALS_DIRECTORY": str(directory)}) as daemon:
            equal(daemon.get("/metrics")[0], 401, "without a token")
            headers = {"Authorization": "Bearer " + VIEWER}
            equal(daemon.get("/metrics", headers=headers)[0], 200, "with one")


@case
def sighup_names_what_it_changed_and_what_it_cannot():
    with scratch() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(directory / "notify"))
        notify.settimeout(5)
        tokens = directory / "tokens"
        tokens.touch(0o600)
        tokens.write_text(f"viewer wall {VIEWER}\n")
        config = directory / "simcastd.yaml"
        config.write_text(f"token_file: {tokens}\n")
        with simcastd("--config", config,
                      environment={"NOTIFY_SOCKET": str(directory / "notify")}) as daemon:
            def hear(word):
                while word not in (said := notify.recv(4096).decode()):
                    pass
                return said
            hear("READY=1")
            config.write_text(f"token_file: {tokens}\nstream: other\nlimits:\n  clients: 7\n")
            tokens.write_text(f"viewer wall {VIEWER}\noperator ada {'a' * 20}\n")
            daemon.process.send_signal(signal.SIGHUP)
            check("MONOTONIC_USEC=" in hear("RELOADING=1"), "the time of the reload")
            hear("READY=1")
            hear("STATUS=")
            check(wait_until(lambda: "reloaded all" in daemon.log), daemon.log)
            check("2 tokens" in daemon.log, daemon.log)
            check("reloaded: limits.clients" in daemon.log, daemon.log)
            check("restart brings it into force: stream" in daemon.log, daemon.log)
            config.write_text("limits:\n  clients: many\n")
            daemon.process.send_signal(signal.SIGHUP)
            check(wait_until(lambda: "reloaded in part" in daemon.log), daemon.log)
            check(f"{config}:2: limits.clients" in daemon.log, daemon.log)


@case
def check_config_names_the_place_and_what_was_expected():
    with scratch() as directory:
        config = directory / "c.yaml"
        program = daemon_cases.build / "daemon" / "simcastd"
        for text, words in (("limits:\n  clients: many\n", (":2: limits.clients", "1 to 30000", "many")),
                            ("limits:\n\n  client: 3\n", (":3: 'client'", "expected a key")),
                            ("token_file: /none\n", (":1: token_file", "/none"))):
            config.write_text(text)
            tried = subprocess.run([program, "--check-config", "--config", config],
                                   capture_output=True, text=True, check=False)
            equal(tried.returncode, 78, text)
            for word in (str(config), *words):
                check(word in tried.stderr, tried.stderr)


# Prometheus and Grafana


@contextlib.contextmanager
def prometheus(directory, port, scraped):
    """Debian's Prometheus with our configuration, as far as its paths and addresses fit here."""
    token = directory / "viewer_token"
    token.write_text(VIEWER)
    config = (CONTAINERS / "prometheus/prometheus.yml").read_text()
    config = re.sub(r"    scheme: https\n    tls_config:\n.*\n", "", config)
    config = config.replace("simcastd:8080", f"127.0.0.1:{scraped}").replace("5s", "1s") \
        .replace("/run/secrets/simcast_viewer_token", str(token)) \
        .replace("simcast.rules.yml", str(CONTAINERS / "prometheus/simcast.rules.yml"))
    (directory / "prometheus.yml").write_text(config)
    command = ["prometheus", f"--config.file={directory / 'prometheus.yml'}",
               f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield lambda query: ask_prometheus(port, query)
        finally:
            process.kill()
            process.stderr.close()


def ask_prometheus(port, query):
    """The values of an instant query, or None when there is no answer yet."""
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return [float(one["value"][1]) for one in json.load(answer)["data"]["result"]] or None
    except OSError:
        return None


@case
def prometheus_scrapes_the_daemon_with_a_viewers_token():
    if not shutil.which("prometheus"):
        print("skip prometheus is missing; install the package prometheus", flush=True)
        return
    with scratch() as directory:
        tokens = directory / "tokens"
        tokens.touch(0o600)
        tokens.write_text(f"viewer wall {VIEWER}\n")
        with streaming("--token-file", tokens) as (daemon, _), \
                daemon.connect(headers={"Authorization": "Bearer " + VIEWER}) as client, \
                prometheus(directory, free_port(), daemon.port) as ask:
            client.receive(Video)
            check(wait_until(lambda: ask("up") == [1.0], 20), f"up: {ask('up')}")
            check(wait_until(lambda: ask("simcast_clients") == [1.0], 5), "clients")
            check(wait_until(lambda: ask("simcast_frames_delivered_total > 0"), 5), "delivered")
            check(wait_until(lambda: ask('simcast_stage_seconds_count{stream="front",'
                                         'stage="fanout"} > 0'), 5), "histogram")
            equal(ask('count({__name__=~"simcast_.*"}) > 50') is not None, True, "all of them")


@case
def promtool_finds_no_fault_in_configuration_and_rules():
    if not shutil.which("promtool"):
        print("skip promtool is missing; install the package prometheus", flush=True)
        return
    for command in (["check", "rules", "simcast.rules.yml"],
                    ["test", "rules", "simcast.rules.test.yml"],
                    ["check", "config", "--syntax-only", "prometheus.yml"]):
        tried = subprocess.run(["promtool", *command], cwd=CONTAINERS / "prometheus",
                               capture_output=True, text=True, check=False)
        equal(tried.returncode, 0, tried.stdout + tried.stderr)


def grafana():
    """The dashboard, and the queries of its panels."""
    dashboard = json.loads((CONTAINERS / "grafana/simcast.json").read_text())
    return dashboard, [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@case
def promtool_finds_no_fault_in_the_dashboards_queries():
    if not shutil.which("promtool"):
        print("skip promtool is missing; install the package prometheus", flush=True)
        return
    with scratch() as directory:
        rules = [{"record": f"query_{number}", "expr": query}
                 for number, query in enumerate(grafana()[1])]
        (directory / "rules.yml").write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
        tried = subprocess.run(["promtool", "check", "rules", directory / "rules.yml"],
                               capture_output=True, text=True, check=False)
        equal(tried.returncode, 0, tried.stdout + tried.stderr)


def metric_names(text):
    return set(re.findall(r"\bsimcast_\w+", text))


@contextlib.contextmanager
def control_loop(daemon):
    """simcast-hal on the daemon's bus; it tells how it does, also without a robot."""
    command = [daemon_cases.build / "hal" / "simcast-hal", "--ipc-dir", daemon.directory,
               "--policy", "stand"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


@case
def dashboard_and_rules_name_metrics_that_exist():
    with streaming() as (daemon, _), control_loop(daemon):
        def read():
            return daemon.get("/metrics")[2].decode()
        check(wait_until(lambda: "simcast_hal_periods_total{" in read()), "the HAL is not there")
        page = read()
    names = {re.split(r"[{ ]", line)[0] for line in page.splitlines() if line.startswith("simcast_")}
    dashboard, queries = grafana()
    variables = [variable["query"] for variable in dashboard["templating"]["list"]]
    used = metric_names(" ".join(queries + variables))
    rules = (CONTAINERS / "prometheus/simcast.rules.yml").read_text()
    for name in used | metric_names(rules):
        check(name in names, f"no metric {name}")
    check(len(used) > 40, f"only {len(used)} metrics are shown")
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]]
    equal(len(set(places)), len(places), "panels on top of each other")
    for panel in dashboard["panels"]:
        check(panel["title"] and panel["description"], panel["title"])
        check(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"])


# containers


def compose(name="compose.yaml"):
    try:
        import yaml
    except ImportError:
        print("skip YAML cannot be read; install the package python3-yaml", flush=True)
        return None
    text = (CONTAINERS / name).read_text()
    equal(re.findall(r"[ \"](\.\.?/[^ :\"]*)", text), [], f"{name}: read from where STACK.yml is")
    return yaml.safe_load(text.replace("${SIMCAST_CONTAINERS-.}", "."))


@case
def the_compose_file_locks_its_services_in():
    file = compose()
    if file is None:
        return
    ours = {name: one for name, one in file["services"].items() if one["image"].startswith("simcast")}
    equal(set(ours), {"simcastd", "encoder", "encoder-gpu"}, "services")
    for name, service in file["services"].items():
        equal((service["read_only"], service["cap_drop"], service["security_opt"]),
              (True, ["ALL"], ["no-new-privileges:true"]), name)
        for network in service.get("networks", []):
            check(network in file["networks"], f"{name}: network {network}")
        for secret in service.get("secrets", []):
            check(secret in file["secrets"], f"{name}: secret {secret}")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            check(source in file["volumes"] or (CONTAINERS / source).exists(), f"{name}: {source}")
        check("privileged" not in service, name)
    for name, service in ours.items():
        check(service["user"].startswith("${SIMCAST_IPC_UID"), f"{name} runs as root")
        equal(service["volumes"], ["sdr_ipc:/dev/shm/sdr_os_ipc"], name)
        target = service["build"]["target"]
        check(f" AS {target}\n" in (CONTAINERS / "Dockerfile").read_text(), target)
    for name in ("encoder", "encoder-gpu"):
        equal(ours[name]["network_mode"], "none", name)
        check("networks" not in ours[name] and "ports" not in ours[name], name)
    equal(ours["simcastd"]["networks"], ["edge", "backplane"], "networks")
    equal(ours["simcastd"]["ports"], ["8080:8080"], "ports")
    equal(file["volumes"]["sdr_ipc"]["driver_opts"]["type"], "tmpfs", "volume")


def in_the_docs(word):
    """The one block of shell in docs/deployment.md that holds this word."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/deployment.md").read_text(), re.M | re.S)
    (found,) = [block for block in blocks if word in block]
    return found


@case
def compose_nats_gives_simcastd_a_login_that_nats_takes():
    file = compose("compose.nats.yaml")
    if file is None:
        return
    nats, ours = file["services"]["nats"], file["services"]["simcastd"]
    secret = file["secrets"]["simcast_bus_login"]["file"]
    equal(ours, {"environment": {"SIMCAST_BUS_LOGIN": "/run/secrets/simcast_bus_login"},
                 "secrets": ["simcast_bus_login"]}, "simcastd")
    config, inside, _ = nats["volumes"][0].split(":")
    equal(nats["command"], ["-c", inside], "the file that NATS reads")
    with scratch() as directory:
        subprocess.run(["bash", "-ec", in_the_docs(">nats.env")], cwd=directory, check=True,
                       env={**os.environ, "SIMCAST_IPC_UID": str(os.getuid()),
                            "SIMCAST_IPC_GID": str(os.getgid())})
        made = directory / "containers"
        equal(stat.S_IMODE((made / secret).stat().st_mode), 0o600, "mode of the login")
        passwords = dict(line.split("=") for line in
                         (made / nats["env_file"][0]).read_text().splitlines())
        port = free_port()
        with NatsServer(port, config=CONTAINERS / config, environment=passwords), \
                simcastd("--bus", f"nats://127.0.0.1:{port}", "--bus-login", made / secret) as daemon:
            check(daemon.wait_health(lambda health: health["bus"] == "connected"), daemon.log)
            check("does not let" not in daemon.log, daemon.log)


@case
def the_compose_file_gives_options_that_the_programs_know():
    file = compose()
    if file is None:
        return
    for program, service in (("daemon/simcastd", "simcastd"), ("encoder/simcast-encoder", "encoder")):
        text = subprocess.run([daemon_cases.build / program, "--help"], capture_output=True,
                              text=True, check=True).stdout
        for option in file["services"][service].get("command", []):
            check(option in text, f"{program} knows no {option}")
        for name in file["services"][service].get("environment", {}):
            check(name in text, f"{program} knows no {name}")


def stages():
    """Stage name -> its text in the Dockerfile."""
    text = (CONTAINERS / "Dockerfile").read_text()
    parts = re.split(r"^FROM \S+ AS (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def packages_of(libraries):
    """The Debian packages that hold these libraries, following no dependencies."""
    paths = {variant for path in libraries
             for variant in (path, path.replace("/lib/", "/usr/lib/", 1), os.path.realpath(path))}
    found = subprocess.run(["dpkg", "-S", *paths], capture_output=True, text=True, check=False)
    return {line.split(":")[0] for line in found.stdout.splitlines()}


@case
def the_images_hold_what_their_programs_are_linked_with():
    for stage, program in (("simcastd", "daemon/simcastd"), ("encoder", "encoder/simcast-encoder")):
        installed = set(re.findall(r"\b[a-z0-9][a-z0-9.+-]+\b",
                                   re.search(r"recommends \\\n(.*?)&&", stages()[stage],
                                             re.DOTALL).group(1)))
        path = daemon_cases.build / program
        needed = re.findall(r"NEEDED\s+(\S+)", subprocess.run(
            ["objdump", "-p", path], capture_output=True, text=True, check=True).stdout)
        places = dict(re.findall(r"(\S+) => (/\S+)", subprocess.run(
            ["ldd", path], capture_output=True, text=True, check=True).stdout))
        wanted = packages_of([places[name] for name in needed if name in places])
        sanitizers = {"libasan8", "libubsan1"}
        check(wanted, f"{stage}: nothing is known of its libraries")
        missing = wanted - installed - sanitizers - {"libc6"}
        equal(missing, set(), f"{stage}: packages that the Dockerfile lacks")
        for name in installed - {"libwebsockets-evlib-ev"}:
            check(name in wanted, f"{stage}: {name} is installed and not linked with")
        check(f"/usr/bin/{path.name}" in stages()[stage], f"{stage}: its program")
        check(re.search(r"^USER 65532:65532$", stages()[stage], re.MULTILINE), f"{stage}: root")


run_cases(__doc__)
