/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/examples.h"

#include <stddef.h>

#include "base/mem.h"

const struct example examples[] = {
        {"services", "services:\n"
                     "  web:\n"
                     "    image: nginx:1.25\n"
                     "    ports: [\"8080:80\"]\n"
                     "  db:\n"
                     "    image: postgres:16\n"},
        {"networks", "networks:\n"
                     "  front:\n"
                     "  back: {internal: true}            # no way out of it\n"
                     "  fixed:\n"
                     "    ipam: {config: [{subnet: 10.20.0.0/24}]}\n"},
        {"volumes", "volumes:\n"
                    "  data:\n"
                    "  shared: {x-berth: {class: shared}}\n"
                    "  there: {external: true, name: other_data}\n"},
        {"configs", "configs:\n"
                    "  app.conf:\n"
                    "    content: |\n"
                    "      listen = 80\n"},
        {"secrets", "secrets:\n"
                    "  password: {file: ./password.txt}  # or environment: DB_PASSWORD\n"},
        {"include", "include:\n"
                    "  - path: [base.yaml, more.yaml]\n"
                    "    project_directory: .\n"
                    "    env_file: base.env\n"},
        {"services.*.ports", "ports:\n"
                             "  - \"8080:80\"                  # 8080 of the host, on 127.0.0.1\n"
                             "  - \"0.0.0.0:443:443\"          # on all addresses of the host\n"
                             "  - \"5353:53/udp\"\n"
                             "  - \"9000\"                     # any free port of the host\n"
                             "  - {target: 81, published: \"8081\", host_ip: 127.0.0.1}\n"},
        {"services.*.volumes", "volumes:\n"
                               "  - data:/var/lib/data          # a volume of the stack\n"
                               "  - ./html:/srv/html:ro         # a folder beside the manifest\n"
                               "  - /var/cache                  # a volume without a name\n"
                               "  - {type: tmpfs, target: /tmp, tmpfs: {size: 64m}}\n"},
        {"services.*.environment", "environment:\n"
                                   "  MODE: production\n"
                                   "  PORT: 8080\n"
                                   "  DB: ${DB_HOST:-db}            # a variable, or else db\n"
                                   "  HOME:                         # as it is where berth runs\n"},
        {"services.*.env_file", "env_file:\n"
                                "  - path: ./local.env\n"
                                "    required: false\n"},
        {"services.*.command", "command: [\"server\", \"--port\", \"80\"]\n"},
        {"services.*.entrypoint", "entrypoint: [\"sh\", \"-c\", \"sleep 1 && exec server\"]\n"},
        {"services.*.depends_on", "depends_on:\n"
                                  "  db: {condition: service_healthy, restart: true}\n"
                                  "  migrate: {condition: service_completed_successfully}\n"
                                  "  cache: {condition: service_started, required: false}\n"},
        {"services.*.healthcheck",
         "healthcheck:\n"
         "  test: curl -f http://localhost/   # or [\"CMD\", \"curl\", ...]\n"
         "  interval: 10s\n"
         "  timeout: 3s\n"
         "  retries: 3\n"
         "  start_period: 30s\n"},
        {"services.*.networks", "networks:\n"
                                "  front: {aliases: [www]}\n"
                                "  fixed: {ipv4_address: 10.20.0.9}\n"},
        {"services.*.configs", "configs:\n"
                               "  - source: app.conf\n"
                               "    target: /etc/app.conf\n"},
        {"services.*.secrets", "secrets:\n"
                               "  - password                  # /run/secrets/password\n"
                               "  - {source: password, target: db, mode: 0400}\n"},
        {"services.*.deploy", "deploy:\n"
                              "  replicas: 2\n"
                              "  resources: {limits: {cpus: \"0.5\", memory: 256m}}\n"
                              "  restart_policy: {condition: on-failure, max_attempts: 3}\n"
                              "  update_config: {order: start-first, failure_action: rollback}\n"},
        {"services.*.extra_hosts", "extra_hosts:\n"
                                   "  - host.docker.internal=host-gateway\n"
                                   "  - printer=192.168.1.9\n"},
        {"services.*.devices", "devices: [\"/dev/net/tun:/dev/net/tun\"]\n"
                               "cap_add: [NET_ADMIN]\n"},
        {"services.*.tmpfs", "tmpfs: [/run, \"/tmp:size=64m,mode=1777\"]\n"},
        {"services.*.ulimits", "ulimits:\n"
                               "  nofile: {soft: 1024, hard: 65536}\n"
                               "  nproc: 512\n"},
        {"services.*.sysctls", "sysctls:\n"
                               "  net.core.somaxconn: 1024\n"},
        {"services.*.labels", "labels:\n"
                              "  team: web\n"},
        {"services.*.profiles", "profiles: [debug]              # runs with --profile debug\n"},
        {"services.*.restart", "restart: unless-stopped\n"},
        {"services.*.x-berth", "x-berth:\n"
                               "  memory: 512m\n"
                               "  cpus: 2\n"
                               "  healthcheck: {tcp: 5432}\n"
                               "  on_unhealthy: restart\n"},
        {0},
};

const char *example_of(const char *key)
{
        for (const struct example *e = examples; e->key; e++)
                if (streq(e->key, key))
                        return e->text;
        return NULL;
}
