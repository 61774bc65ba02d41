/* SPDX-License-Identifier: Apache-2.0 */
#include "base/roots.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"

/* The longest socket name that berth puts into a run folder, with its slash. */
#define SOCKET_NAME_ROOM (sizeof("/berth.sock") - 1)

/* An unset and an empty variable are the same, as the XDG specification asks. */
static const char *env_get(const char *name)
{
        const char *value = getenv(name);

        return value && *value ? value : NULL;
}

/* Absolute, without trailing slashes and "/." parts; links and missing parts stay as they are. */
static int absolute(const char *path, char **ret, struct err *err)
{
        AUTO_FREE char *cwd = NULL;
        size_t n;

        if (path[0] != '/') {
                cwd = getcwd(NULL, 0);
                if (!cwd)
                        return err_errno(err, errno, "present folder");
                while (has_prefix(path, "./"))
                        path += 2;
        }
        *ret = cwd && !streq(path, ".") ? file_join(streq(cwd, "/") ? "" : cwd, path)
                                        : xstrdup(cwd ? cwd : path);
        n = strlen(*ret);
        while (n > 1 && (*ret)[n - 1] == '/')
                (*ret)[--n] = '\0';
        return 0;
}

/* ${VARIABLE:-HOME/fallback}/berth. A relative value of an XDG variable counts as unset. */
static int xdg(const char *variable, const char *fallback, char **ret, struct err *err)
{
        const char *base = env_get(variable), *home = env_get("HOME");

        if (base && base[0] == '/') {
                *ret = file_join(base, "berth");
                return 0;
        }
        if (!home || home[0] != '/')
                return err_set(err, EINVAL,
                               "neither %s nor HOME names a folder; set one, or use --root DIR",
                               variable);
        *ret = xasprintf("%s/%s/berth", home, fallback);
        return 0;
}

static int default_places(struct roots *roots, struct err *err)
{
        const char *runtime = env_get("XDG_RUNTIME_DIR");
        int r;

        if (geteuid() == 0) {
                roots->state = xstrdup("/var/lib/berth");
                roots->run = xstrdup("/run/berth");
                return 0;
        }
        r = xdg("XDG_STATE_HOME", ".local/state", &roots->state, err);
        if (r < 0)
                return r;
        roots->run = runtime && runtime[0] == '/' ? file_join(runtime, "berth")
                                                  : file_join(roots->state, "run");
        return 0;
}

static int cache_place(struct roots *roots, struct err *err)
{
        const char *cache = env_get("BERTH_CACHE");

        if (cache)
                return absolute(cache, &roots->cache, err);
        if (xdg("XDG_CACHE_HOME", ".cache", &roots->cache, NULL) < 0)
                roots->cache = file_join(roots->state, "cache"); /* a daemon without HOME */
        return 0;
}

static int derive(struct roots *roots, const char *root, const char *images, struct err *err)
{
        int r;

        root = root ? root : env_get("BERTH_ROOT");
        images = images ? images : env_get("BERTH_IMAGES");
        r = root ? absolute(root, &roots->root, err) : default_places(roots, err);
        if (r < 0)
                return r;
        if (roots->root) {
                roots->state = xstrdup(roots->root);
                roots->run = file_join(roots->root, "run");
        }
        if (images)
                r = absolute(images, &roots->images, err);
        else
                roots->images = file_join(roots->state, "images");
        if (r < 0)
                return r;
        if (strlen(roots->run) + SOCKET_NAME_ROOM > ROOTS_SOCKET_MAX)
                return err_set(err, ENAMETOOLONG,
                               "%s/berth.sock: the path of a socket is limited to %d bytes; choose "
                               "a shorter --root",
                               roots->run, ROOTS_SOCKET_MAX);
        return cache_place(roots, err);
}

int roots_init(struct roots *roots, const char *root, const char *images, struct err *err)
{
        struct roots made = {0};
        int r = derive(&made, root, images, err);

        if (r < 0) {
                roots_release(&made);
                return r;
        }
        *roots = made;
        return 0;
}

void roots_release(struct roots *roots)
{
        free(roots->root);
        free(roots->state);
        free(roots->run);
        free(roots->images);
        free(roots->cache);
        *roots = (struct roots){0};
}

int roots_create(const struct roots *roots, struct err *err)
{
        int r = file_mkdir_p(roots->state, 0700, err);

        if (r == 0)
                r = file_mkdir_p(roots->run, 0700, err);
        if (r == 0)
                r = file_mkdir_p(roots->images, 0700, err);
        return r;
}

char *roots_run_path(const struct roots *roots, const char *name)
{
        return file_join(roots->run, name);
}
