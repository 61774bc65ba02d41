/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * The API between `berth` and `berthd`: HTTP/1.1 with JSON over the unix socket RUN/berth.sock
 * (mode 0600). docs/api.md describes it for other clients. Times are RFC 3339 text, sizes bytes.
 *
 * Every failure is {"error": {"code": "ENOENT", "message": "...", "diagnostics": ["file:1:2: ..."]}}
 * with 400 bad input, 404 unknown, 409 conflict or in use, 500 internal, 503 starting or stopping.
 * Streams are application/x-ndjson: one JSON object a line, until one of the two sides closes.
 *
 *   GET    /v1/version                {version, api, pid, root}
 *   GET    /v1/info                   {version, pid, root, isolation, isolation_reason, qemu, kernel,
 *                                      stacks, vms, memory_bytes, started,
 *                                      templates: [{memory_bytes, cpus, state, build_ms,
 *                                      resident_bytes, clones, reason}],
 *                                      pool: {size, reason, shapes: [{memory_bytes, cpus, waiting,
 *                                      making, claims, reason}]}}
 *   POST   /v1/shutdown               {stop_vms: bool} -> {} and the daemon ends (VMs stay unless asked)
 *   GET    /v1/stacks                 [{name, revision, source, services, ok, settled, created}]
 *   GET    /v1/stacks/STACK           {name, revision, source, manifest}
 *   PUT    /v1/stacks/STACK           {manifest, source, ports: "manifest"|"auto"} ->
 *                                     {name, revision, changes: [...], unchanged: bool}
 *   POST   /v1/stacks/STACK/diff      {manifest} -> {changes: [...]}      (see reconciler/diff.h)
 *   POST   /v1/stacks/STACK/change    {do: "stop"|"start"|"restart", services: [names]; absent: all},
 *                                     {do: "scale", services: [name], replicas: N},
 *                                     {do: "rollback", revision: N; absent: the previous manifest}
 *                                     -> {name, revision, unchanged}
 *   GET    /v1/stacks/STACK/history   [{revision, note, created, current, changes: [...]}], newest first
 *   DELETE /v1/stacks/STACK?volumes=1 {} ; the stack goes down; watch its status until 404/"gone"
 *   GET    /v1/stacks/STACK/status    stream of STATUS, one whenever it changed; ends with
 *                                     {"gone": true} once a deleted stack has left nothing behind.
 *                                     ?follow=0: the present one only
 *   GET    /v1/ps?stack=S&all=1       [REPLICA]   (all: also ended ones)
 *   GET    /v1/stats?stack=S&service=X&replica=N   [STATS] of the VMs that run
 *   GET    /v1/services/STACK/SERVICE[/N]  {service: canonical spec, status, replicas: [REPLICA with
 *                                     volumes, healthcheck: {state, failures, log: [PROBE]}, host]}
 *   GET    /v1/events?follow=1&stack=S&since=SEQ&limit=N   stream of EVENT
 *   GET    /v1/logs?stack=S&service=X&replica=N&follow=1&tail=N&since=TIME&boot=1   stream of LOGLINE
 *   POST   /v1/exec                   {stack, service, replica, argv, tty, stdin, rows, cols, env: {},
 *                                      user, workdir} with "Connection: Upgrade", "Upgrade: berth-exec"
 *                                     -> 101, then frames (below) both ways
 *   POST   /v1/run                    {manifest, service, remove, detach, rows, cols} with the same
 *                                     upgrade: a stack is made, and attached to
 *   GET    /v1/images                 [{ref, name, digest, size_bytes, unpacked, created, architecture}]
 *   POST   /v1/images/load?ref=R      body: archive -> stream of {stage, done, total}, then
 *                                     {"images": [{ref, digest}]} or {"error": ...}
 *   POST   /v1/images/import?ref=R&changes=JSON   body: root tar -> the same
 *   POST   /v1/images/pull            {ref, auth_file} -> stream of {stage, done, total}, {layer, state,
 *                                     done, total} and {notice}, then {"images": [{ref, digest}],
 *                                     unchanged, received} or {"error": ...}
 *   POST   /v1/images/push            {ref, auth_file} -> the same stream, ends with {"images": [...]}
 *   POST   /v1/images/tag             {source, target} -> {}
 *   POST   /v1/images/prune           {all: bool} -> {bytes, removed: [ref]}
 *   GET    /v1/images/inspect?ref=R   {ref, digest, config_digest, source, size_bytes, architecture, os,
 *                                     created, rootfs, manifest, config}
 *   POST   /v1/images/save            {refs: [R]} -> the archive, application/x-tar; cut off when it fails
 *   POST   /v1/registry/login         {registry, username, password} -> {registry, anonymous}
 *   DELETE /v1/images?ref=R           {}
 *   GET    /v1/volumes                [{name, stack, size_bytes, used_bytes, created, in_use}]
 *   DELETE /v1/volumes/NAME           {}
 *   GET    /v1/networks               [NETWORK]
 *   POST   /v1/networks               {name, subnet, internal, labels: {}} -> NETWORK, which stacks share
 *   GET    /v1/networks/NAME?stack=S  NETWORK; without stack: one that stacks share
 *   DELETE /v1/networks/NAME          {}
 *
 * STATUS  {name, revision, undoes: the revision whose update failed and that this one takes back, settled, ok, services: [{service, phase, why, settled, ok, replicas_wanted,
 *          replicas_ready, failures, retry_at, one_shot, replicas: [REPLICA]}]}
 *          (failures: ends in a row of the worst replica; 3 are a crash loop)
 * REPLICA {stack, service, replica, name: "shop/web/1", id, state, health, since, phase, why,
 *          addresses: {network: ip}, ports: [{host_ip, host_port, target, protocol}], image, digest,
 *          isolation: "tcg"|"kvm", pid, restarts, exit_reason, exit_code, message,
 *          phases_ms: {prepare, qemu, kernel, vminit, configure, exec, total}}
 * NETWORK {stack, name, shared, subnet, gateway, pid, up, message, internal, labels: {},
 *          members: [{name: "shop/web/1", address, aliases}]}; shared: no stack, but made_by: the
 *          stack whose manifest names it, created, users: ["shop/web"]
 * EVENT   {seq, time, stack, service, replica, type, reason, message}
 * LOGLINE {time, stack, service, replica, stream: "stdout"|"stderr"|"boot", text}, and partial: true
 *          when the line is longer than 16 KiB and goes on in the next LOGLINE of that stream
 */
/* clang-format on */
#ifndef ORCHESTRATOR_API_WIRE_H
#define ORCHESTRATOR_API_WIRE_H

#define API_VERSION     1
#define API_SOCKET_NAME "berth.sock"

/* Largest JSON request body: a 10 MB manifest and its configs fit. */
#define API_BODY_MAX (32u << 20)

/*
 * Frames of an exec session after 101: a byte of type, three bytes of length (big-endian), the
 * body. Largest body EXEC_FRAME_MAX. The server ends the connection after EXIT or FAIL.
 */
#define EXEC_UPGRADE   "berth-exec"
#define EXEC_FRAME_MAX 65536

enum exec_frame {
        EXEC_STDIN = 0,  /* to server: bytes; empty: end of input */
        EXEC_STDOUT = 1, /* to client: bytes */
        EXEC_STDERR = 2,
        EXEC_RESIZE = 3, /* to server: rows, columns as two big-endian 16-bit numbers */
        EXEC_SIGNAL = 4, /* to server: one byte, the signal's number */
        EXEC_EXIT = 5,   /* to client: one byte, the exit code (128 + n for a signal) */
        EXEC_FAIL = 6,   /* to client: one byte, the exit code to use (126, 127, 125), then text */
};

#endif
