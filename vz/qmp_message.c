/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/qmp_message.h"

#include <string.h>

static int fill_event(struct qmp_message *m, struct err *err)
{
        m->kind = QMP_EVENT;
        m->name = json_str(m->json, "event", NULL);
        m->data = json_object_get(m->json, "data");
        if (!m->name || !*m->name)
                return err_set(err, EPROTO, "qmp: an event without a name");
        if (m->data && !json_is_object(m->data))
                return err_set(err, EPROTO, "qmp: event %.40s: data is not an object", m->name);
        return 0;
}

static int fill_error(struct qmp_message *m, struct err *err)
{
        const json_t *error = json_object_get(m->json, "error");

        m->kind = QMP_ERROR;
        m->name = json_str(error, "desc", NULL);
        if (!m->name)
                return err_set(err, EPROTO, "qmp: an error without a description");
        return 0;
}

static int fill(struct qmp_message *m, struct err *err)
{
        const json_t *id = json_object_get(m->json, "id");

        m->id = json_is_integer(id) ? json_integer_value(id) : -1;
        if (json_object_get(m->json, "event"))
                return fill_event(m, err);
        if (json_object_get(m->json, "error"))
                return fill_error(m, err);
        if (json_is_object(json_object_get(m->json, "QMP"))) {
                m->kind = QMP_GREETING;
                return 0;
        }
        m->kind = QMP_RETURN;
        m->data = json_object_get(m->json, "return");
        if (!m->data)
                return err_set(err, EPROTO, "qmp: neither greeting, return, error nor event");
        return 0;
}

int qmp_message_parse(const char *line, size_t len, struct qmp_message *ret, struct err *err)
{
        struct qmp_message m = {.id = -1};
        int r = json_parse(line, len, QMP_LINE_MAX, "qmp", &m.json, err);

        if (r == 0 && !json_is_object(m.json))
                r = err_set(err, EPROTO, "qmp: not an object");
        if (r == 0)
                r = fill(&m, err);
        if (r < 0) {
                qmp_message_release(&m);
                return r;
        }
        *ret = m;
        return 0;
}

void qmp_message_release(struct qmp_message *message)
{
        json_decref(message->json);
        *message = (struct qmp_message){.id = -1};
}
