/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the options of `berth run` to a manifest of one service: each option is a key of the Compose
 * language and its value is written there as it is, so that manifests and the command line have
 * one way to be read, one set of checks, and one kind of message.
 */
#ifndef ORCHESTRATOR_CLI_RUN_MANIFEST_H
#define ORCHESTRATOR_CLI_RUN_MANIFEST_H

#include "orchestrator/cli/cli.h"

struct run_manifest {
        char *name;   /* of the service; the stack is run-NAME */
        char *image;  /* as it was written */
        json_t *json; /* canonical */
};

/* The options that become keys, for the command's option table. */
#define RUN_MANIFEST_OPTIONS                                                                      \
        {'e', "env", "NAME[=VALUE]", "set a variable, or pass on the caller's; repeat it"},       \
                {0, "env-file", "FILE", "read variables from a file; repeat it"},                 \
                {'v', "volume", "SOURCE:TARGET[:ro]", "mount a folder, a file or a volume"},      \
                {'p', "publish", "[IP:][PORT:]TARGET[/udp]", "publish a port on the host"},       \
                {0, "tmpfs", "PATH[:OPTIONS]", "mount memory"},                                   \
                {'u', "user", "USER", "run as this user (name or uid[:gid]) of the image"},       \
                {'w', "workdir", "DIR", "run in this folder"},                                    \
                {0, "entrypoint", "PROGRAM", "in place of the image's"},                          \
                {0, "hostname", "NAME", "its host name; the service's name else"},                \
                {0, "network", "NAME", "bridge: one of its own (default); none: no network"},     \
                {0, "add-host", "NAME:IP", "a line of /etc/hosts"},                               \
                {0, "dns", "IP", "ask this name server"},                                         \
                {'m', "memory", "SIZE", "limit of the service's memory: 256m"},                   \
                {0, "cpus", "NUMBER", "processors; the VM has so many, rounded up"},              \
                {0, "shm-size", "SIZE", "of /dev/shm"},                                           \
                {0, "read-only", NULL, "mount the image read-only"},                              \
                {0, "privileged", NULL, "all capabilities, inside the VM"},                       \
                {0, "device", "DEVICE[:PATH]",                                                    \
                 "/dev/net/tun or /dev/fuse, of the guest's kernel"},                             \
                {0, "cap-add", "CAPABILITY", "add a capability"},                                 \
                {0, "cap-drop", "CAPABILITY", "drop a capability, or ALL"},                       \
                {0, "stop-signal", "SIGNAL", "that asks it to end; SIGTERM else"},                \
                {0, "stop-timeout", "SECONDS", "until it is killed; 10 else"},                    \
                {0, "restart", "POLICY", "no (default), on-failure[:N], always, unless-stopped"}, \
                {0, "platform", "OS/ARCH", "of the image"},                                       \
        {                                                                                         \
                'l', "label", "NAME=VALUE", "a note"                                              \
        }

/** Make it. Returns CLI_OK, or an exit code after the errors were printed. */
int run_manifest_make(const struct args *args, struct run_manifest *ret);
void run_manifest_release(struct run_manifest *manifest);

#endif
