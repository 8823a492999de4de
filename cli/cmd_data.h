/* The verbs of `mtps data` that have a file of their own. */
#ifndef MTPS_CLI_CMD_DATA_H
#define MTPS_CLI_CMD_DATA_H

/* argv[0] is "mtps data synth". */
int cmd_data_synth(int argc, char **argv);

#endif
