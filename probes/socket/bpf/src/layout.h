/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Sizes that user space also needs. */
#ifndef LAPWING_LAYOUT_H
#define LAPWING_LAYOUT_H

#include "conn/log.h"
#include "http/framing.h"

enum layout {
	LAYOUT_NAME = NAME_MAX,
	LAYOUT_TRACE = TRACE_MAX,
	LAYOUT_BLOCK = sizeof(struct block),
	LAYOUT_LOG_SEGMENT = LOG_SEGMENT,
	LAYOUT_LOG_SLACK = LOG_SLACK,
	LAYOUT_MESSAGE = sizeof(struct message),
};

const enum layout *mention_layout __attribute__((unused));

#endif
