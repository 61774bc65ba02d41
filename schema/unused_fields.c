/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/unused_fields.h"

#define ROW(how, key, text)                                \
        {                                                  \
                .name = (key), .use = (how), .doc = (text) \
        }

static const struct field watch_fields[] = {
        ROW(FIELD_QUIET, "path", "what to watch"),
        ROW(FIELD_QUIET, "action", "what a change does"),
        ROW(FIELD_QUIET, "target", "where changed files go"),
        ROW(FIELD_QUIET, "ignore", "files that do not count"),
        ROW(FIELD_QUIET, "include", "files that count"),
        ROW(FIELD_QUIET, "exec", "command to run after it"),
        ROW(FIELD_QUIET, "initial_sync", "copy all at the start"),
        {0},
};

const struct field develop_fields[] = {
        {.name = "watch", .use = FIELD_QUIET, .arg = watch_fields, .doc = "files to watch"},
        {0},
};

const struct field blkio_fields[] = {
        ROW(FIELD_IGNORED, "weight", "share of a disk's time"),
        ROW(FIELD_IGNORED, "weight_device", "shares by device"),
        ROW(FIELD_IGNORED, "device_read_bps", "bytes read a second"),
        ROW(FIELD_IGNORED, "device_read_iops", "reads a second"),
        ROW(FIELD_IGNORED, "device_write_bps", "bytes written a second"),
        ROW(FIELD_IGNORED, "device_write_iops", "writes a second"),
        {0},
};

const struct field build_fields[] = {
        ROW(FIELD_QUIET, "context", "folder or URL that the image is built from"),
        ROW(FIELD_QUIET, "dockerfile", "file with the steps"),
        ROW(FIELD_QUIET, "dockerfile_inline", "the steps themselves"),
        ROW(FIELD_QUIET, "args", "variables of the steps"),
        ROW(FIELD_QUIET, "ssh", "keys that the steps may use"),
        ROW(FIELD_QUIET, "labels", "labels of the image"),
        ROW(FIELD_QUIET, "cache_from", "images whose layers are taken"),
        ROW(FIELD_QUIET, "cache_to", "where layers are kept"),
        ROW(FIELD_QUIET, "no_cache", "run all steps"),
        ROW(FIELD_QUIET, "no_cache_filter", "stages whose steps are all run"),
        ROW(FIELD_QUIET, "additional_contexts", "more folders by name"),
        ROW(FIELD_QUIET, "network", "network of the steps"),
        ROW(FIELD_QUIET, "provenance", "record of how it was built"),
        ROW(FIELD_QUIET, "sbom", "list of what is in it"),
        ROW(FIELD_QUIET, "pull", "get newer base images"),
        ROW(FIELD_QUIET, "target", "stage to build"),
        ROW(FIELD_QUIET, "shm_size", "size of /dev/shm in the steps"),
        ROW(FIELD_QUIET, "extra_hosts", "hosts that the steps know"),
        ROW(FIELD_QUIET, "isolation", "isolation of the steps"),
        ROW(FIELD_QUIET, "privileged", "steps may do all"),
        ROW(FIELD_QUIET, "secrets", "secrets that the steps may read"),
        ROW(FIELD_QUIET, "tags", "more names of the image"),
        ROW(FIELD_QUIET, "ulimits", "limits of the steps"),
        ROW(FIELD_QUIET, "platforms", "platforms to build for"),
        ROW(FIELD_QUIET, "entitlements", "what the steps may do beyond the usual"),
        {0},
};

const struct field credential_fields[] = {
        ROW(FIELD_REFUSED, "config", "name of a config"),
        ROW(FIELD_REFUSED, "file", "file with the credentials"),
        ROW(FIELD_REFUSED, "registry", "key of the registry"),
        {0},
};

const struct field device_request_fields[] = {
        ROW(FIELD_REFUSED, "capabilities", "what the device can do"),
        ROW(FIELD_REFUSED, "count", "how many"),
        ROW(FIELD_REFUSED, "device_ids", "which ones"),
        ROW(FIELD_REFUSED, "driver", "driver of the device"),
        ROW(FIELD_REFUSED, "options", "options of the driver"),
        {0},
};

const struct field generic_resource_fields[] = {
        ROW(FIELD_REFUSED, "discrete_resource_spec", "kind and number"),
        {0},
};

const struct field init_step_fields[] = {
        ROW(FIELD_REFUSED, "image", "image of the step"),
        ROW(FIELD_REFUSED, "command", "command of the step"),
        ROW(FIELD_REFUSED, "user", "user it runs as"),
        ROW(FIELD_REFUSED, "privileged", "with all capabilities"),
        ROW(FIELD_REFUSED, "working_dir", "folder it starts in"),
        ROW(FIELD_REFUSED, "environment", "more variables"),
        ROW(FIELD_REFUSED, "per_replica", "once for each replica"),
        {0},
};

const struct field logging_fields[] = {
        ROW(FIELD_IGNORED, "driver", "where output goes"),
        ROW(FIELD_IGNORED, "options", "options of the driver"),
        {0},
};

const struct field model_fields[] = {
        ROW(FIELD_REFUSED, "name", "name of the model"),
        ROW(FIELD_REFUSED, "model", "reference of the model"),
        ROW(FIELD_REFUSED, "context_size", "length of its memory"),
        ROW(FIELD_REFUSED, "runtime_flags", "options of its runtime"),
        {0},
};

const struct field model_ref_fields[] = {
        ROW(FIELD_REFUSED, "endpoint_var", "variable with its address"),
        ROW(FIELD_REFUSED, "model_var", "variable with its name"),
        {0},
};

const struct field placement_fields[] = {
        ROW(FIELD_IGNORED, "constraints", "which hosts"),
        ROW(FIELD_IGNORED, "preferences", "how to spread"),
        ROW(FIELD_IGNORED, "max_replicas_per_node", "most on one host"),
        {0},
};

const struct field provider_fields[] = {
        ROW(FIELD_REFUSED, "type", "the program"),
        ROW(FIELD_REFUSED, "options", "its options"),
        {0},
};
