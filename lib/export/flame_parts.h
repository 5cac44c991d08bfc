/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What page/embed makes of the files in page/. */
#ifndef EXPORT_FLAME_PARTS_H
#define EXPORT_FLAME_PARTS_H

extern const char flame_style[], flame_body[], flame_script[];
/* As a Content-Security-Policy names them: "sha256-…". */
extern const char flame_style_hash[], flame_script_hash[];

#endif
