/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes of values as JSON Schema, for kinds. Quotes are single ones here: see jsonschema.c. Text
 * may stand for a scalar of any type, as it may hold a variable.
 */
#ifndef SCHEMA_SHAPES_H
#define SCHEMA_SHAPES_H

#define SHAPE_STRING "{'type':['string','null']}"
#define SHAPE_INT    "{'type':['integer','string','null'],'pattern':'^[-+]?[0-9]|\\\\$'}"
#define SHAPE_BOOL                                                                         \
        "{'type':['boolean','string','null'],'pattern':'^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][S" \
        "s][Ee]|[Yy]([Ee][Ss])?|[Nn][Oo]?|[Oo][Nn]|[Oo][Ff][Ff])$|\\\\$'}"
#define SHAPE_WORDS                                                                        \
        "{'type':['string','array','null'],'items':{'type':['string','number','boolean']}" \
        "}"
#define SHAPE_PAIRS                                                                        \
        "{'type':['object','array','null'],'items':{'type':['string','number','boolean']}" \
        ",'additionalProperties':{'type':['string','number','boolean','null']}}"
#define SHAPE_NAMES                                                                        \
        "{'type':['array','object','null'],'items':{'type':'string','minLength':1},'addit" \
        "ionalProperties':{'anyOf':[{'type':'null'},{'$ref':'#long'}]}}"

/* A list of short forms, of that shape, and long ones. */
#define SHAPE_ENTRIES(short) \
        "{'type':['array','null'],'items':{'anyOf':[" short ",{'$ref':'#long'}]}}"

#endif
