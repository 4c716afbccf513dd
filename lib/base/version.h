#ifndef BASE_VERSION_H
#define BASE_VERSION_H
/* What edge, auth_edge and edgectl are a version of: `--version`, and `version` in pings. */

#define EDGE_CLUSTER_VERSION "0.1.0"

#endif
