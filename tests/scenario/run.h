/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios: text files with a virtual clock. A line is one verb; what follows a `;` is a comment.
 *
 *   stack NAME                    a new revision, filled by the lines that follow
 *   shared                        the networks that stacks share, as a stack: /NAME in facts
 *   network NAME [internal] [external] [name=X]   ... declared so; others are declared by use
 *   secret|config NAME:TEXT
 *   service NAME WORD...          see world_service()
 *   drop STACK [unknown]          deleted; unknown: its last revision is not known any more
 *   wish STACK/SERVICE stop | start | renew CAUSE   what commands ask beside the manifest
 *   wish STACK/SERVICE once                the stack goes when it has ended
 *   wish STACK/SERVICE good | undoing      its present spec was well; brings back an earlier one
 *   wish STACK/SERVICE image REF           what the last apply meant by its image
 *   complete SERVICE                       every replica is well with the wanted spec
 *   incomplete SERVICE
 *   fact image REF STATE [TEXT]   unknown, ready, missing, busy
 *   fact images ready             all that are wanted
 *   fact network STACK/NET STATE [TEXT]   up, coming, failed, removing, gone, guests N
 *   fact networks up              all that are known
 *   fact vm WHICH STATE [TEXT]    preparing, booting, running, healthy, unhealthy, starting
 *                                 (health), stopping, gone, exited CODE, failed REASON
 *   fact vm WHICH ends CODE       as exited, and its VM could run it again
 *   fact vm WHICH unpublished TIME TEXT   a port cannot be bound; tried again then (0s: now)
 *   fact vm WHICH published
 *   fact vm WHICH new [old]       a VM from nowhere (of another spec)
 *   forget REPLICA                its memory is lost
 *   at TIME | passes TIME
 *   seed N                        delays have jitter from here on
 *   do                            begin the steps of the plan
 *   converge                      all steps succeed at once, again and again, until none is left
 *   expect nothing | expect       then one indented line a step: the whole plan
 *   status SERVICE PHASE [ok|settled][: WHY]
 *   failures SERVICE N          in a row, as its status tells
 *   wake TIME | wake never        since the scenario's begin
 *
 * WHICH is vm-N, or STACK/SERVICE/N for the youngest VM of that replica.
 */
#ifndef TESTS_SCENARIO_RUN_H
#define TESTS_SCENARIO_RUN_H

#include "base/err.h"

/** Run one file. 0, or -EINVAL with the line and what differs in err. */
int scenario_run(const char *path, struct err *err);

#endif
