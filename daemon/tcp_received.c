/* SPDX-License-Identifier: Apache-2.0 */
/* Alone in its file because linux/tcp.h, whose tcp_info has the counter, and netinet/tcp.h clash.
 */
#include "daemon/tcp_received.h"

#include <linux/tcp.h>
#include <sys/socket.h>

#include <netinet/in.h>

uint64_t tcp_received_bytes(int fd)
{
    struct tcp_info info = {0};
    socklen_t info_bytes = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_bytes) < 0)
        return 0;
    return info.tcpi_bytes_received;
}
