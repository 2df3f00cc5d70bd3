/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast doctor: what is wrong on this machine, and what to do about it. Exit codes as Nagios
 * reads them: 0 fine, 1 warning, 2 critical, 3 wrong options.
 */
#ifndef SIMCAST_CLI_DOCTOR_H
#define SIMCAST_CLI_DOCTOR_H

int doctor_main(int argc, char **argv);

#endif
