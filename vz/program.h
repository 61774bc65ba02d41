/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VZ_PROGRAM_H
#define VZ_PROGRAM_H

#define PROGRAM_QEMU "qemu-system-x86_64"

/** The path that execvp() would take, on the heap; NULL: there is none. */
char *program_find(const char *name);

#endif
