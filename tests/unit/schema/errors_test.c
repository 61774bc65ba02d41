/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a manifest: exact text, place and way out, all findings at once. */
#include "tests/unit/schema/fixture.h"

#define S "services:\n  web:\n    image: a\n    "

static const struct {
        const char *name, *yaml, *printed;
} cases[] = {
        {"unknown key with suggestion", "services:\n  web:\n    imagee: a\n",
         "stack.yaml:3:5: error: services.web.imagee: unknown key; did you mean 'image'?\n"},
        {"unknown key, swapped letters", S "prots: ['80']\n",
         "stack.yaml:4:5: error: services.web.prots: unknown key; did you mean 'ports'?\n"},
        {"unknown key without suggestion", S "start_on_create: true\n",
         "stack.yaml:4:5: error: services.web.start_on_create: unknown key; keys of your own must "
         "begin with x-\n"},
        {"unknown key deep down", S "healthcheck:\n      intervall: 5s\n",
         "stack.yaml:5:7: error: services.web.healthcheck.intervall: unknown key; did you mean "
         "'interval'?\n"},
        {"unknown key at the top", "servces: {}\n",
         "stack.yaml:1:1: error: no 'services': a stack needs at least that key\n"
         "stack.yaml:1:1: error: servces: unknown key; did you mean 'services'?\n"},
        {"unknown key of x-berth", S "x-berth: {memroy: 64m}\n",
         "stack.yaml:4:15: error: services.web.x-berth.memroy: unknown key; did you mean "
         "'memory'?\n"},
        {"all findings at once",
         "services:\n  web:\n    image: 5\n    ports: ['99999:80', 'x']\n    restart: maybe\n"
         "  db:\n    image: b\n    depends_on: [wbe]\n    healthcheck: {interval: 5}\n",
         "stack.yaml:3:12: error: services.web.image: must be a string, not a number; write \"5\" "
         "in quotes\n"
         "stack.yaml:4:13: error: services.web.ports[0]: 99999 is not a port; ports are "
         "1..65535\n"
         "stack.yaml:4:25: error: services.web.ports[1]: 'x' is not a port; write HOST:CONTAINER, "
         "such as \"8080:80\"\n"
         "stack.yaml:5:14: error: services.web.restart: 'maybe' is not one of no, always, "
         "on-failure, on-failure:N, unless-stopped\n"
         "stack.yaml:8:18: error: services.db.depends_on[0]: service 'wbe' does not exist; did you "
         "mean 'web'?\n"
         "stack.yaml:9:29: error: services.db.healthcheck.interval: '5' is not a duration; write a "
         "number and a unit, such as 500ms, 30s or 1m30s\n"},
        {"wrong types",
         S "command: {a: b}\n    environment: text\n    volumes: x:/y\n    tty: 3\n"
           "    scale: 1.5\n    mem_limit: lots\n",
         "stack.yaml:4:14: error: services.web.command: must be a string or a list of strings, not "
         "a map\n"
         "stack.yaml:5:18: error: services.web.environment: must be a map or a list of KEY=VALUE, "
         "not a string\n"
         "stack.yaml:6:14: error: services.web.volumes: must be a list of mounts such as "
         "\"data:/var/lib/data\", not a string; put it in brackets: [\"x:/y\"]\n"
         "stack.yaml:7:10: error: services.web.tty: must be true or false, not a number\n"
         "stack.yaml:8:12: error: services.web.scale: must be a whole number, not a number\n"
         "stack.yaml:9:16: error: services.web.mem_limit: 'lots' is not a size; write a number and "
         "a unit, such as 64m or 1.5g\n"},
        {"a disk of two writers",
         "services:\n  a: {image: a, volumes: ['v:/v']}\n  b: {image: b, volumes: ['v:/w:ro']}\n"
         "volumes: {v: {x-berth: {class: disk}}}\n",
         "stack.yaml:3:27: error: services.b.volumes[0]: volume 'v' is of class disk and written "
         "by "
         "service 'a' (line 2): no second VM can mount it; set its x-berth.class to shared\n"},
        {"a disk of two replicas",
         S "scale: 2\n    volumes: ['v:/v']\nvolumes: {v: {x-berth: {class: disk}}}\n",
         "stack.yaml:5:15: error: services.web.volumes[0]: 2 replicas would write to volume 'v' of "
         "class disk, which one VM can mount; set scale to 1, or x-berth.class to shared\n"},
        {"a volume that all read", S "scale: 2\n    volumes: ['v:/v:ro']\nvolumes: {v: }\n", ""},
        {"a service that is no map", "services:\n  web:\n  db: text\n",
         "stack.yaml:2:3: error: services.web: must be a map, not nothing; indent its keys below "
         "it\n"
         "stack.yaml:3:3: error: services.db: must be a map, not a string\n"},
        {"bounds",
         S "scale: 5000\n    healthcheck: {retries: -1}\n    mem_limit: 5m\n    x-berth: "
           "{memory: 63m, cpus: 0}\n",
         "stack.yaml:4:12: error: services.web.scale: 5000 is above 1000\n"
         "stack.yaml:5:28: error: services.web.healthcheck.retries: -1 is below 0\n"
         "stack.yaml:6:16: error: services.web.mem_limit: 5m is below the minimum of 6 MiB\n"
         "stack.yaml:7:23: error: services.web.x-berth.memory: 63m is below the minimum of 64 MiB\n"
         "stack.yaml:7:34: error: services.web.x-berth.cpus: 0 is below 1\n"},
        {"names", "services:\n  My Web: {image: a}\nnetworks: {-x: {}}\n",
         "stack.yaml:2:3: error: services.My Web: 'My Web' is not a name; use letters, digits, _ . "
         "and -, a letter, digit or _ first, at most 63\n"
         "stack.yaml:3:12: error: networks.-x: '-x' is not a name; use letters, digits, _ . and -, "
         "a letter or digit first, at most 128\n"},
        {"references to what is not there",
         S
         "networks: [frnot]\n    volumes: ['data:/x']\n    configs: [page]\n    secrets: [{source: "
         "pw}]\nnetworks: {front: }\n",
         "stack.yaml:4:16: error: services.web.networks[0]: network 'frnot' does not exist; did "
         "you "
         "mean 'front'?\n"
         "stack.yaml:5:15: error: services.web.volumes[0]: volume 'data' is not declared; add it "
         "to "
         "'volumes' at the top level\n"
         "stack.yaml:6:15: error: services.web.configs[0]: config 'page' is not declared; add it "
         "to "
         "'configs' at the top level\n"
         "stack.yaml:7:24: error: services.web.secrets[0]: secret 'pw' is not declared; add it to "
         "'secrets' at the top level\n"},
        {"a dependency cycle",
         "services:\n  a:\n    image: x\n    depends_on: [b]\n  b:\n    image: x\n    depends_on:\n"
         "      c: {condition: service_healthy}\n  c: {image: x, depends_on: [a]}\n",
         "stack.yaml:9:30: error: services.c.depends_on[0]: the services wait for each other: a -> "
         "b "
         "-> c -> a; remove one of these depends_on\n"},
        {"a service that waits for itself", S "depends_on: [web]\n",
         "stack.yaml:4:18: error: services.web.depends_on[0]: the services wait for each other: "
         "web "
         "-> web; remove one of these depends_on\n"},
        {"a port that is published twice",
         "services:\n  a: {image: x, ports: ['8080:80', '127.0.0.2:9:9']}\n"
         "  b: {image: x, ports: ['8080:81', '9:9', '0.0.0.0:9:10', '8080:81/udp']}\n",
         "stack.yaml:3:25: error: services.b.ports[0]: host port 8080 is published by "
         "services.a.ports[0] already; choose another one, or give one of the services a profile\n"
         "stack.yaml:3:43: error: services.b.ports[2]: host port 9 is published by "
         "services.b.ports[1] already; choose another one\n"
         "stack.yaml:3:43: error: services.b.ports[2]: host port 9 is published by "
         "services.a.ports[1] already; choose another one, or give one of the services a "
         "profile\n"},
        {"a fixed port of several replicas is fine", S "ports: ['8080:80', '81']\n    scale: 3\n",
         ""},
        {"ports",
         S "ports: ['5-1:5-1', '1-2:1-3', '1-2:5', 'a:80', '::1:80:80', '80/sctp', {}, "
           "{target: 0}]\n",
         "stack.yaml:4:13: error: services.web.ports[0]: the range 5-1 ends before it begins\n"
         "stack.yaml:4:24: error: services.web.ports[1]: the ranges of host and container differ "
         "in "
         "length\n"
         "stack.yaml:4:44: error: services.web.ports[3]: 'a' is not a port; write HOST:CONTAINER, "
         "such as \"8080:80\"\n"
         "stack.yaml:4:65: error: services.web.ports[5]: protocol 'sctp' cannot be published; use "
         "tcp or udp\n"
         "stack.yaml:4:76: error: services.web.ports[6]: 'target' is missing\n"
         "stack.yaml:4:89: error: services.web.ports[7].target: 0 is not a port; ports are "
         "1..65535\n"},
        {"mounts",
         S "volumes: ['a:b', ':/x', '/x::ro', 'a:/b:ro:x', '/var/run/docker.sock:/s', "
           "'/:/host', '/proc/sys:/p', '/tmp:/', '/tmp:/t', '/var:/t/', 3]\nvolumes: {a: }\n",
         "stack.yaml:4:15: error: services.web.volumes[0]: 'b' is not an absolute path in the "
         "guest; write SOURCE:/TARGET\n"
         "stack.yaml:4:22: error: services.web.volumes[1]: ':/x' has an empty part; write "
         "SOURCE:/TARGET\n"
         "stack.yaml:4:29: error: services.web.volumes[2]: '/x::ro' has an empty part; write "
         "SOURCE:/TARGET\n"
         "stack.yaml:4:39: error: services.web.volumes[3]: 'a:/b:ro:x' has too many colons; use "
         "the "
         "long form (source:, target:)\n"
         "stack.yaml:4:52: error: services.web.volumes[4]: /var/run/docker.sock of the host cannot "
         "be mounted: there is no Docker here: leave the entry out, and the service if it is for "
         "containers\n"
         "stack.yaml:4:79: error: services.web.volumes[5]: / of the host cannot be mounted: it "
         "holds the whole host; name the folder that the service needs\n"
         "stack.yaml:4:90: error: services.web.volumes[6]: /proc/sys of the host cannot be "
         "mounted: "
         "the VM has its own; leave the entry out\n"
         "stack.yaml:4:106: error: services.web.volumes[7]: nothing can be mounted over /; name a "
         "folder in it\n"
         "stack.yaml:4:116: warning: services.web.volumes[8]: ignored: a later entry, [9], has /t "
         "too; remove one\n"
         "stack.yaml:4:139: error: services.web.volumes[10]: must be SOURCE:/TARGET or a map, not "
         "a "
         "number\n"},
        {"long mounts",
         S "volumes:\n    - {type: bind, target: /x}\n    - {type: npipe, target: "
           "/y}\n    - {type: volume, source: a, target: /z, volume: {subpath: "
           "../x}}\n    - {target: /w}\nvolumes: {a: }\n",
         "stack.yaml:5:7: error: services.web.volumes[0]: a bind needs 'source', a path on the "
         "host\n"
         "stack.yaml:6:14: error: services.web.volumes[1].type: 'npipe' is not one of volume, "
         "bind, "
         "tmpfs\n"
         "stack.yaml:7:7: error: services.web.volumes[2]: subpath '../x' leaves the volume; write "
         "a "
         "folder in it, without ..\n"
         "stack.yaml:8:7: error: services.web.volumes[3]: 'type' is missing\n"},
        {"addresses",
         "services:\n  a: {image: x, networks: {n: {ipv4_address: 10.2.0.5}}}\n"
         "  b: {image: x, networks: {n: {ipv4_address: 10.1.0.1}}}\n"
         "  c: {image: x, networks: {n: {ipv4_address: 10.1.0.9}}}\n"
         "  d: {image: x, networks: {n: {ipv4_address: 10.1.0.9}}}\n"
         "  e: {image: x, networks: {m: {ipv4_address: 10.1.0.9}}}\n"
         "  f: {image: x, networks: {m: {ipv4_address: ten}}}\n"
         "networks:\n  n: {ipam: {config: [{subnet: 10.1.0.0/24}]}}\n"
         "  m: {ipam: {config: [{}]}}\n",
         "stack.yaml:2:46: error: services.a.networks.n.ipv4_address: 10.2.0.5: not within the "
         "network's subnet 10.1.0.0/24\n"
         "stack.yaml:3:46: error: services.b.networks.n.ipv4_address: 10.1.0.1: the first two and "
         "the last address of a subnet are not for services\n"
         "stack.yaml:5:46: error: services.d.networks.n.ipv4_address: 10.1.0.9: the address of "
         "service 'c' too\n"
         "stack.yaml:6:46: error: services.e.networks.m.ipv4_address: 10.1.0.9: the network has no "
         "subnet; give it one with ipam.config.subnet\n"
         "stack.yaml:7:46: error: services.f.networks.m.ipv4_address: 'ten' is not an IPv4 "
         "address\n"},
        {"networks",
         S "network_mode: host\nnetworks: {n: {external: true}, o: {driver: macvlan}, p: "
           "{ipam: {config: [{subnet: 10.0.0.0/8}, {}]}}, q: {ipam: {config: [{subnet: "
           "x}]}}}\n",
         "stack.yaml:4:19: error: services.web.network_mode: a VM cannot share the host's network; "
         "publish the ports it serves with 'ports', and reach the host as host.docker.internal\n"
         "stack.yaml:5:45: error: networks.o.driver: driver 'macvlan' does not exist; leave it out "
         "(bridge)\n"
         "stack.yaml:5:84: error: networks.p.ipam.config[0].subnet: 10.0.0.0/8: a subnet is from "
         "/16 to /29\n"
         "stack.yaml:5:97: error: networks.p.ipam.config[1]: a network has one subnet; remove this "
         "one\n"
         "stack.yaml:5:133: error: networks.q.ipam.config[0].subnet: 'x' is not a subnet; write it "
         "like 10.1.2.0/24\n"},
        {"none excludes networks and ports",
         S "network_mode: none\n    networks: [default]\n    ports: ['80']\n",
         "stack.yaml:4:19: error: services.web: network_mode and networks exclude each other; "
         "remove one\n"
         "stack.yaml:4:19: error: services.web: without a network no port can be published; remove "
         "'ports' or network_mode\n"},
        {"no image", "services:\n  web: {}\n",
         "stack.yaml:2:3: error: services.web: 'image' is missing: the image that the service "
         "runs\n"},
        {"refused and ignored keys",
         S "devices: [/dev/kvm]\n    cpu_shares: 5\n    extends: {service: x}\n"
           "include: [x.yaml]\nversion: '3'\n",
         "stack.yaml:4:15: error: services.web.devices[0]: '/dev/kvm' of the host cannot be "
         "passed: "
         "a VM has no devices of the host; guests have no virtualisation; leave the entry out "
         "where "
         "the service can emulate\n"
         "stack.yaml:5:5: warning: services.web.cpu_shares: ignored: VMs share processors evenly; "
         "use cpus\n"
         "stack.yaml:6:14: error: services.web.extends: service 'x' does not exist in this file\n"
         "stack.yaml:7:11: error: include[0]: FOLDER/x.yaml: No such file or directory\n"
         "stack.yaml:8:1: warning: version: ignored: the key is obsolete; remove it\n"},
        {"deploy against the flat keys",
         S "scale: 2\n    mem_limit: 64m\n    cpus: 1\n    pids_limit: 5\n    deploy:\n      "
           "replicas: 3\n      resources: {limits: {memory: 65m, cpus: 2, pids: 6}}\n",
         "stack.yaml:4:12: error: services.web.scale: differs from deploy.replicas; keep one\n"
         "stack.yaml:5:16: error: services.web.mem_limit: differs from "
         "deploy.resources.limits.memory; keep one\n"
         "stack.yaml:6:11: error: services.web.cpus: differs from deploy.resources.limits.cpus; "
         "keep one\n"
         "stack.yaml:7:17: error: services.web.pids_limit: differs from "
         "deploy.resources.limits.pids; keep one\n"},
        {"values",
         S "stop_signal: SIGFOO\n    working_dir: here\n    hostname: a b\n    cap_add: "
           "['net admin']\n    ulimits: {nofiles: 5, nofile: {soft: 5}}\n    extra_hosts: "
           "[x]\n    platform: linux/arm64\n    pull_policy: sometimes\n    dns: [x]\n",
         "stack.yaml:4:18: error: services.web.stop_signal: 'SIGFOO' is not a signal; write it "
         "like "
         "SIGTERM\n"
         "stack.yaml:5:18: error: services.web.working_dir: 'here' is not an absolute path; begin "
         "it with /\n"
         "stack.yaml:6:15: error: services.web.hostname: 'a b' is not a host name; use letters, "
         "digits, - and .\n"
         "stack.yaml:7:15: error: services.web.cap_add[0]: 'net admin' is not a capability; write "
         "it like NET_ADMIN or ALL\n"
         "stack.yaml:8:15: error: services.web.ulimits.nofiles: no limit has this name; nofile, "
         "nproc and memlock are some\n"
         "stack.yaml:8:35: error: services.web.ulimits.nofile: 'hard' is missing\n"
         "stack.yaml:9:19: error: services.web.extra_hosts[0]: must be NAME=ADDRESS, such as "
         "\"host.docker.internal=host-gateway\"\n"
         "stack.yaml:10:15: error: services.web.platform: 'linux/arm64' cannot run here; VMs are "
         "linux/amd64: use an image of that platform\n"
         "stack.yaml:11:18: error: services.web.pull_policy: 'sometimes' is not one of missing, "
         "always, never, daily, weekly, every_DURATION (every_12h)\n"
         "stack.yaml:12:11: error: services.web.dns[0]: 'x' is not an IPv4 address\n"},
        {"healthcheck test", S "healthcheck: {test: [curl, x]}\n",
         "stack.yaml:4:25: error: services.web.healthcheck.test: a list must begin with CMD, "
         "CMD-SHELL or NONE, not 'curl'; write [\"CMD\", \"curl\"...]\n"},
        {"restart as boolean", S "restart: false\n",
         "stack.yaml:4:14: error: services.web.restart: must be no, always, on-failure, "
         "on-failure:N or unless-stopped, not a boolean\n"},
        {"sources",
         "services: {}\nconfigs:\n  a: {}\n  b: {file: none.txt}\n  c: {content: x, "
         "environment: UNSET}\n  d: {external: true}\n",
         "stack.yaml:3:3: error: configs.a: has no content; add file, environment or content\n"
         "stack.yaml:4:13: error: configs.b.file: FOLDER/none.txt: No such file or directory\n"
         "stack.yaml:5:32: error: configs.c.environment: variable UNSET is not set; set it in the "
         "environment or in .env\n"
         "stack.yaml:5:32: error: configs.c.environment: the content is given twice; keep one of "
         "file, environment, content\n"
         "stack.yaml:6:17: error: configs.d.external: there is no store of configs to take it "
         "from, nor has Docker one without a swarm; in place of it write file: ./d, or "
         "environment: VARIABLE\n"},
        {"variables",
         S "hostname: ${NEED:?say who}\n    user: ${bad!}\n    domainname: ${open\n"
           "    working_dir: /$GONE\n    stop_signal: SIG$GONE\n",
         "stack.yaml:4:15: error: services.web.hostname: required variable NEED is missing a "
         "value: "
         "say who; set it in the environment or in .env\n"
         "stack.yaml:4:15: error: services.web.hostname: '${NEED:?say who}' is not a host name; "
         "use "
         "letters, digits, - and .\n"
         "stack.yaml:5:11: error: services.web.user: 'bad!' is not a variable; write ${NAME} or "
         "${NAME:-default}, or $$ for a dollar sign\n"
         "stack.yaml:6:17: error: services.web.domainname: '${open' is not a variable; write "
         "${NAME} "
         "or ${NAME:-default}, or $$ for a dollar sign\n"
         "stack.yaml:6:17: error: services.web.domainname: '${open' is not a host name; use "
         "letters, "
         "digits, - and .\n"
         "stack.yaml:7:18: warning: services.web.working_dir: variable GONE is not set; an empty "
         "text is used\n"
         "stack.yaml:8:18: error: services.web.stop_signal: 'SIG' is not a signal; write it like "
         "SIGTERM\n"},
        {"env files", S "env_file: [none.env, bad.env]\n",
         "stack.yaml:4:16: error: services.web.env_file[0]: FOLDER/none.env: No such file or "
         "directory; create it, or write {path, required: false}\n"
         "bad.env:2:1: error: services.web.env_file[1]: a key cannot hold this character; "
         "write KEY=VALUE\n"
         "bad.env:3:1: error: services.web.env_file[1]: the quote of this value is not "
         "closed\n"},
        {"profiles",
         "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: y, profiles: "
         "[debug]}\n",
         "stack.yaml:2:30: error: services.a.depends_on[0]: service 'b' is off, as none of its "
         "profiles is on; add --profile debug, or required: false\n"},
        {"version 1 files", "web:\n  image: a\n",
         "stack.yaml:1:1: error: no 'services': a stack needs at least that key; this file has the "
         "form of Compose 1: write 'services:' above it and indent it below that\n"},
        {"a command with shell syntax", S "command: a && b\n",
         "stack.yaml:4:14: warning: services.web.command: no shell runs this: all from '&& b' on "
         "is "
         "dropped; write [\"sh\", \"-c\", \"...\"]\n"},
        {"numbers that others read differently", S "environment: {A: 0123, B: 1_000}\n",
         "stack.yaml:4:22: warning: services.web.environment.A: kept as the text 0123; other tools "
         "make 83 of it: write it in quotes\n"
         "stack.yaml:4:31: warning: services.web.environment.B: kept as the text 1_000; other "
         "tools "
         "make 1000 of it: write it in quotes\n"},

        {"tab", "services:\n\tweb: {}\n",
         "stack.yaml:2:1: error: while scanning for the next token: found character that cannot "
         "start any token; indent with spaces, not tabs, and quote text that begins with @ ` or "
         "%\n"},
        {"indentation", "services:\n  web:\n    image: a\n   ports: []\n",
         "stack.yaml:4:4: error: while parsing a block mapping: did not find expected key; check "
         "the indentation of this line and the lines above, and that quotes are closed\n"},
        {"duplicate key", "services:\n  web:\n    image: a\n    image: b\n",
         "stack.yaml:4:5: error: key 'image' is there twice, first in line 3; remove one\n"},
        {"alias without anchor", "a: *b\n",
         "stack.yaml:1:4: error: alias *b has no anchor &b above it; quote text that begins with "
         "*\n"},
        {"alias of itself", "a: &a [*a]\n",
         "stack.yaml:1:8: error: alias *a has no anchor &a above it; quote text that begins with "
         "*\n"},
        {"merge of text", "a: {<<: text}\n",
         "stack.yaml:1:9: error: '<<' needs a map or a list of maps, not a string\n"},
        {"unknown tag", "a: !!python/object x\nb: !foo x\n",
         "stack.yaml:2:4: error: unknown tag !foo; only !reset and !override have a meaning\n"},
        {"key that is a list", "[a]: b\n",
         "stack.yaml:1:1: error: a key must be text; quote it if it begins with [ or {\n"},
        {"a NUL character", "a: \"x\\0y\"\n",
         "stack.yaml:1:4: error: text holds a NUL character; it cannot be used\n"},
        {"invalid UTF-8", "a: \xff\n",
         "stack.yaml:1:1: error: invalid leading UTF-8 octet (byte 3); save the file as UTF-8\n"},
        {"empty", "# nothing\n", "stack.yaml:1:1: error: the file is empty\n"},
        {"a list", "- a\n",
         "stack.yaml:1:1: error: must be a map with the key 'services', not a list\n"},
        {"alias bomb",
         "a: &a [x, x, x, x, x, x, x, x, x]\n"
         "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
         "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\n"
         "f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\n",
         "stack.yaml:6:8: error: alias *e: the aliases of this file expand to more than 100000 "
         "values; write the values out, or nest fewer aliases\n"},
};

/* The folder of the test is not known before; in the tables it is FOLDER. */
static char *generic(const char *text)
{
        AUTO_FREE char *cwd = getcwd(NULL, 0);
        size_t n = strlen(cwd), out_len = 0;
        char *out = NULL;
        FILE *f = open_memstream(&out, &out_len);

        while (*text) {
                if (strncmp(text, cwd, n) == 0) {
                        (void)fputs("FOLDER", f);
                        text += n;
                } else {
                        (void)fputc(*text++, f);
                }
        }
        (void)fclose(f);
        return out;
}

static void test_cases(void)
{
        fixture_write("bad.env", "GOOD=1\nBAD KEY\nOPEN='x\n");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *printed = NULL;
                AUTO_FREE char *shown = NULL;
                AUTO(stack) struct stack *stack = NULL;
                int r = fixture_load(cases[i].yaml, &stack, &printed);

                shown = generic(printed);
                is_str(shown, cases[i].printed, "%s", cases[i].name);
                ok((r < 0) == (strstr(shown, "error: ") != NULL), "%s: result", cases[i].name);
                ok((r < 0) == (stack == NULL), "%s: nothing half-made", cases[i].name);
        }
}

static void test_depth(void)
{
        AUTO_FREE char *printed = NULL;
        AUTO(stack) struct stack *stack = NULL;
        char deep[1001];

        memset(deep, '[', sizeof(deep) - 1);
        deep[sizeof(deep) - 1] = '\0';
        is_int(fixture_load(deep, &stack, &printed), -EINVAL, "deep nesting");
        is_str(printed, "stack.yaml:1:65: error: nested deeper than 64 levels\n", "is told");
        free(STEAL(printed));
        /* Each alias adds its depth to that of its place. */
        is_int(fixture_load("a: &a [[[[[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]]]]\n"
                            "b: &b [[[[[[[[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]]]]]]]\n"
                            "c: &c [[[[[[[[[[[[[[[[[[[[[[[*b]]]]]]]]]]]]]]]]]]]]]]]\n",
                            &stack, &printed),
               -EINVAL, "depth by aliases");
        is_str(printed, "stack.yaml:3:30: error: alias *b nests deeper than 64 levels\n",
               "is told");
}

static void test_many(void)
{
        AUTO_FREE char *yaml = NULL, *printed = NULL;
        AUTO(stack) struct stack *stack = NULL;
        size_t n = 0, lines = 0;
        FILE *f = open_memstream(&yaml, &n);

        (void)fputs("services: {}\n", f);
        for (int i = 0; i < 150; i++)
                (void)fprintf(f, "key%d: 1\n", i);
        (void)fclose(f);
        is_int(fixture_load(yaml, &stack, &printed), -EINVAL, "many findings");
        for (const char *p = printed; *p; p++)
                lines += *p == '\n';
        is_int(lines, DIAGS_MAX + 1, "are cut");
        has_str(printed, "more than 100 findings; the rest is not shown\n", "and that is told");
}

static void test_missing_file(void)
{
        static const char *const files[] = {"none.yaml"};
        const struct load_options options = {.files = files, .file_count = 1};
        struct diags diags = {0};
        struct stack *stack = NULL;
        struct err err = ERR_INIT;

        is_int(manifest_load(&options, &stack, &diags, &err), -ENOENT, "a missing file");
        is_str(err.msg, "none.yaml: No such file or directory", "is named");
        fixture_write("one.yaml", "services: {web: {image: a, tty: 5}}\n");
        is_int(manifest_load(&(struct load_options){.files = (const char *const[]){"one.yaml"},
                                                    .file_count = 1},
                             &stack, &diags, &err),
               -EINVAL, "a bad one");
        is_str(err.msg, "one.yaml: 1 error", "is counted");
        diags_release(&diags);
}

int main(void)
{
        fixture_enter();
        test_cases();
        test_depth();
        test_many();
        test_missing_file();
        return tap_done();
}
