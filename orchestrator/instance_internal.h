/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files that are struct instance: instance.c (birth, state, health, death),
 * prepare*.c (until QEMU runs), instance_guest.c (what the guest tells), instance_end.c (how it
 * ends), instance_follow.c (changes in place), instance_file.c (for the next daemon), attach.c.
 */
#ifndef ORCHESTRATOR_INSTANCE_INTERNAL_H
#define ORCHESTRATOR_INSTANCE_INTERNAL_H

#include "orchestrator/instance.h"

/* Output that is still under way after the exit may take this long. */
#define INSTANCE_OUTPUT_DRAIN_MS 3000

/* Of open_streams. */
#define INSTANCE_STREAM(stream) (1u << (stream))
#define INSTANCE_STREAMS        (INSTANCE_STREAM(GUEST_STDOUT) | INSTANCE_STREAM(GUEST_STDERR))

/* instance.c */

/** Change the state and tell env->on_change. */
void instance_set_state(struct instance *instance, enum vm_state state);
/** What views show; NULL or "": nothing. */
void instance_set_message(struct instance *instance, const char *message);
/** Its deadline is in so many ms; 0: it has none. */
void instance_arm(struct instance *instance, int64_t ms);
/** Something that the next daemon must know: the next turn writes it, before it acts on it. */
void instance_note(struct instance *instance);

/* instance_file.c */

/** Write instance.json. */
int instance_save(const struct instance *instance, struct err *err);

/* instance_guest.c */

/** QEMU was started or adopted: watch it and talk to the guest. */
int instance_connect(struct instance *instance, struct err *err);
/** The guest cannot be reached (a clone that failed is being replaced): try again, a few times. */
void instance_reconnect(struct instance *instance, const struct err *why);
/** The timer of that. */
void instance_on_reconnect_due(struct ev_loop *loop, ev_timer *w, int revents);
/** Configure a guest that nobody has, once its VM is up: a claimed one must have its disks. */
void instance_configure_new(struct instance *instance);
/** Have the guest, if it is configured, start the service once the VM has its network. */
void instance_run(struct instance *instance);
/** Tell the guest what of its output is in the log, unless who is attached is behind. */
void instance_acknowledge(struct instance *instance);

/* instance_end.c */

extern const struct vm_events instance_vm_events;
/** The timer of the present state: what was awaited has not come. */
void instance_on_deadline(struct ev_loop *loop, ev_timer *w, int revents);
/** The run of the service ended: EXITED or FAILED, and everybody is told. */
void instance_end_run(struct instance *instance, enum vm_state state, enum exit_reason reason,
                      int code, const char *message);
/** The guest is gone: so are its sessions, its log, and who waits for its answers. */
void instance_drop_guest(struct instance *instance);
/** Once the last output is in the log: end the VM. */
void instance_power_off(struct instance *instance);
/** How the machine of the pool did that it had, if any; NULL: well. Such that fail are given up. */
void instance_judge_pool(struct instance *instance, const char *why);

/* prepare_net.c */

/** The answers of taps that are under way find nobody any more. */
void instance_forget_taps(struct instance *instance);
/** Addresses for its networks; then a tap on each is asked for, or that of its machine moved. */
int instance_make_nics(struct instance *instance, const struct service *service, struct err *err);
int instance_ask_taps(struct instance *instance, struct err *err);
/** Its taps that QEMU has copies of, or does not need. */
void instance_close_taps(struct instance *instance);
/** None of its taps is on its way any more. */
bool instance_has_taps(const struct instance *instance);
/** End the machine of the pool that it reserved and did not use, if any. */
void instance_drop_member(struct instance *instance);

#endif
