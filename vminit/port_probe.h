/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_PORT_PROBE_H
#define VMINIT_PORT_PROBE_H

/*
 * Tests of a port that need no program of the image: PORT_PROBE of wire.h. Runs in the child that
 * would otherwise become the program of an exec session, with the service's user and limits. It
 * waits as long as it takes: the host ends the session when its time is over.
 */

/**
 * Test and exit: 0 when it passed; else 1, and one line on the standard output says why. args: from
 * PORT_PROBE on, NULL ends them. Descriptors above 2 are closed first.
 */
_Noreturn void port_probe(const char *const *args);

#endif
