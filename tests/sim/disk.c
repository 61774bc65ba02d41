/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite's files through us: a VFS on top of its own, which dies, is full, or fails as the world
 * says, and does not sync. It knows no shared memory and needs none (exclusive locking).
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

struct disk_file {
        sqlite3_file base;
        sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
        return ((struct disk_file *)(void *)file)->real;
}

static int disk_close(sqlite3_file *file)
{
        sqlite3_file *real = real_of(file);
        int rc = real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;

        free(real);
        return rc;
}

static int disk_read(sqlite3_file *file, void *buf, int n, sqlite3_int64 at)
{
        return real_of(file)->pMethods->xRead(real_of(file), buf, n, at);
}

static int disk_write(sqlite3_file *file, const void *buf, int n, sqlite3_int64 at)
{
        sqlite3_file *real = real_of(file);

        if (sim->crash_in == 1) /* it dies here: half of it is on disk */
                (void)real->pMethods->xWrite(real, buf, n / 2, at);
        sim_effect("database write");
        if (sim->full)
                return SQLITE_FULL;
        return real->pMethods->xWrite(real, buf, n, at);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
        sim_effect("database truncate");
        return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int disk_sync(sqlite3_file *file, int flags)
{
        (void)file;
        (void)flags;
        sim_effect("database sync");
        return sim_fault(CALL_FSYNC) == HOW_FINE ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *ret)
{
        return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int disk_lock(sqlite3_file *file, int level)
{
        return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int disk_unlock(sqlite3_file *file, int level)
{
        return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int disk_check_lock(sqlite3_file *file, int *ret)
{
        return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int disk_control(sqlite3_file *file, int op, void *arg)
{
        return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int disk_sector(sqlite3_file *file)
{
        return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int disk_traits(sqlite3_file *file)
{
        return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods disk_methods = {
        .iVersion = 1,
        .xClose = disk_close,
        .xRead = disk_read,
        .xWrite = disk_write,
        .xTruncate = disk_truncate,
        .xSync = disk_sync,
        .xFileSize = disk_size,
        .xLock = disk_lock,
        .xUnlock = disk_unlock,
        .xCheckReservedLock = disk_check_lock,
        .xFileControl = disk_control,
        .xSectorSize = disk_sector,
        .xDeviceCharacteristics = disk_traits,
};

static sqlite3_vfs *below(const sqlite3_vfs *vfs)
{
        return vfs->pAppData;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret)
{
        struct disk_file *mine = (struct disk_file *)(void *)file;
        int rc;

        mine->real = calloc(1, (size_t)below(vfs)->szOsFile);
        if (!mine->real)
                return SQLITE_NOMEM;
        rc = below(vfs)->xOpen(below(vfs), name, mine->real, flags, ret);
        mine->base.pMethods = rc == SQLITE_OK ? &disk_methods : NULL;
        if (rc != SQLITE_OK)
                free(mine->real);
        return rc;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
        sim_effect("database delete");
        return below(vfs)->xDelete(below(vfs), name, sync);
}

static int disk_random(sqlite3_vfs *vfs, int n, char *buf)
{
        (void)vfs;
        for (int i = 0; i < n; i++)
                buf[i] = (char)sim_roll(&sim->random, 256);
        return n;
}

void sim_disk_init(void)
{
        static sqlite3_vfs vfs;
        sqlite3_vfs *unix_vfs = sqlite3_vfs_find(NULL);

        vfs = *unix_vfs;
        vfs.iVersion = 1;
        vfs.zName = "sim";
        vfs.pNext = NULL;
        vfs.pAppData = unix_vfs;
        vfs.szOsFile = (int)sizeof(struct disk_file);
        vfs.xOpen = disk_open;
        vfs.xDelete = disk_delete;
        vfs.xRandomness = disk_random;
        (void)sqlite3_vfs_register(&vfs, 1); /* fails only without memory */
}
