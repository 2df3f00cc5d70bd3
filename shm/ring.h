/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring: one producer hands frames to many consumers without copying them and without ever
 * waiting for one. It carries raw frames, encoded packets, robot state and actions alike.
 *
 * The producer owns the memory (a sealed memfd) and a unix socket <dir>/<stream>.<kind>. A
 * consumer connects and receives a read-only view of the frames, a lease page of its own, and an
 * end of a pipe that wakes it. Hang-up of that socket tells each side at once that the other is
 * gone.
 *
 * A producer in nine lines:
 *
 *     struct ring_producer *ring;
 *     struct ring_producer_config config = {.stream = "front", .kind = RING_KIND_FRAMES,
 *                                           .payload_bytes_max = 1280 * 720 * 3};
 *     if (ring_producer_open(&config, &ring) < 0) ...
 *     struct ring_loan loan;
 *     if (ring_loan(ring, &loan) == 0) {
 *         render_into(loan.payload, loan.payload_bytes_max);
 *         ring_publish(ring, &loan, &(struct ring_frame){.payload_bytes = ..., .width = ...});
 *     }
 *
 * A consumer:
 *
 *     struct ring_consumer *ring;
 *     ring_consumer_open(&(struct ring_consumer_config){.stream = "front"}, &ring);
 *     ring_consumer_want(ring, true);
 *     struct ring_view view;
 *     while (ring_consumer_wait(ring, 1000) == 0)
 *         while (ring_acquire(ring, RING_LATEST, &view) == 0) {
 *             look_at(view.payload, view.frame.payload_bytes);
 *             ring_release(ring, &view);
 *         }
 *
 * Source: docs/ring.md (layout byte by byte, why acquire is safe).
 */
#ifndef SIMCAST_SHM_RING_H
#define SIMCAST_SHM_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RING_DIR_DEFAULT "/dev/shm/sdr_os_ipc"
/*
 * A stream's name with its NUL: letters, digits, '-', '_'. One '+' may stand between the name of
 * a camera and that of a rendition of it ("front+jpeg"), with at least one character on each side.
 */
#define RING_STREAM_BYTES 32
#define RING_USER_BYTES 1024
#define RING_LEASES_MAX 32
#define RING_CONSUMER_LEASES_MAX 8
#define RING_SLOTS_MAX 64

enum ring_kind {
    RING_KIND_FRAMES,  /* raw pictures, socket <stream>.frames */
    RING_KIND_PACKETS, /* coded pictures (proto/video.h), socket <stream>.packets */
    RING_KIND_STATE,   /* robot state, socket <stream>.state */
    RING_KIND_ACTIONS, /* joint actions, socket <stream>.actions */
    RING_KIND_GATE,    /* what the transport gate decided, socket <stream>.gate */
    RING_KIND_COUNT,
};

#define RING_FRAME_KEYFRAME 0x0001u  /* decodable alone; set it on every raw frame too */
#define RING_FRAME_BOTTOM_UP 0x0002u /* the first row in memory is the bottom row */
#define RING_FRAME_GPU_LOST 0x0004u  /* a packet: its encoder lost the GPU and codes without it */

/* Where payloads lie. */
enum ring_memory {
    RING_MEMORY_HOST, /* in the ring's memfd */
    RING_MEMORY_CUDA, /* on a GPU: payload pointers are CUDA device pointers, for the GPU alone */
};

enum ring_matrix { RING_MATRIX_SRGB, RING_MATRIX_BT601, RING_MATRIX_BT709 };
enum ring_range { RING_RANGE_FULL, RING_RANGE_LIMITED };

/* The stages of a frame's way, stamped by whoever completes them; CLOCK_MONOTONIC ns. */
enum ring_stage {
    RING_STAGE_RENDERED,
    RING_STAGE_PUBLISHED, /* set by ring_publish on a frame ring */
    RING_STAGE_ENCODE_BEGIN,
    RING_STAGE_ENCODE_END,
    RING_STAGE_PACKET_PUBLISHED, /* set by ring_publish on a packet ring */
    RING_STAGE_COUNT,
};

/* What is said about a frame. In a slot it lies as described in shm/layout.h. */
struct ring_frame {
    uint64_t seq;           /* position in this ring: 1, 2, 3, ...; set by ring_publish */
    uint64_t frame_id;      /* the simulator's number of the picture */
    uint64_t payload_bytes; /* valid bytes in the payload */
    uint32_t flags;         /* RING_FRAME_* */
    uint32_t fourcc;        /* proto/pixel.h; 0 for packets, state and actions */
    uint32_t width;         /* pixels */
    uint32_t height;        /* pixels */
    uint32_t stride_bytes;  /* bytes from one row to the next in memory */
    uint32_t codec;         /* enum video_codec; packets only */
    uint32_t matrix;        /* enum ring_matrix */
    uint32_t range;         /* enum ring_range */
    uint32_t user_bytes;    /* valid bytes of user metadata, 0 to RING_USER_BYTES */
    uint32_t reserved;
    int64_t sim_time_ns;
    int64_t stamp_ns[RING_STAGE_COUNT]; /* 0: unknown */
};

/* ---- producer ---------------------------------------------------------------------------- */

struct ring_producer;

struct ring_producer_config {
    const char *dir;    /* NULL: RING_DIR_DEFAULT. Created (0770) when missing */
    const char *stream; /* required */
    enum ring_kind kind;
    size_t payload_bytes_max;
    unsigned leases_max;  /* sum over all consumers; 0: 8, at most RING_LEASES_MAX */
    int64_t lease_ns_max; /* a pin older than this is revoked; 0: never */
    unsigned history;     /* published slots kept beyond the newest for RING_NEXT; 0: none */
    enum ring_memory memory;
    int cuda_device; /* the GPU's number in this process, for memory and pin_for_cuda */
    /*
     * Of a host ring: pins its memory once (cuMemHostRegister), so that copies from the GPU land
     * in a slot at the speed of the bus and may be asynchronous. Where that fails the ring works
     * without; see ring_producer_pin_reason.
     */
    bool pin_for_cuda;
};

/*
 * Creates the ring: slots = leases_max + 2 + history, all memory reserved and touched here.
 * Starts one thread that serves the socket. On success the caller owns *ret_producer.
 *
 * On a ring with RING_MEMORY_CUDA the payloads of all slots are one allocation on the GPU, mapped
 * in its primary context, which the ring holds; ring_publish and the rest cost the same. CUDA is
 * loaded (libcuda.so.1) only when this or pin_for_cuda asks for it.
 *
 * Errors: -EINVAL a bad name or size, or pin_for_cuda of a cuda ring; -EADDRINUSE a living producer
 * has this stream; -ENOSPC memory cannot be reserved; -EACCES, -ENOENT, -ENAMETOOLONG the directory
 * cannot be used; -ENOMEM, -EMFILE, -EAGAIN (no thread). Of CUDA: -ENODEV no driver or no such GPU,
 * -EOPNOTSUPP it cannot share memory, -ENOMEM it has not enough, -EIO; ring_cuda_reason has the
 * sentence. Cost: touches all memory once (milliseconds per 10 MB).
 */
int ring_producer_open(const struct ring_producer_config *config,
                       struct ring_producer **ret_producer);

/*
 * What failed in CUDA, last on this thread, as a sentence for a person that says what to do; ""
 * before any failure. Valid until the next one.
 */
const char *ring_cuda_reason(void);

/* Why the ring is not pinned, as a sentence; "" when it is, or was not asked to be. */
const char *ring_producer_pin_reason(const struct ring_producer *producer);

/* Takes NULL. Removes the socket; consumers see the hang-up and may finish reading their views. */
void ring_producer_close(struct ring_producer *producer);

struct ring_loan {
    void *payload; /* page-aligned, payload_bytes_max bytes, holds an older frame's bytes */
    size_t payload_bytes_max;
    void *user; /* RING_USER_BYTES bytes of metadata to fill, if any; always host memory */
    uint32_t slot;
    enum ring_memory memory; /* what kind of pointer `payload` is */
};

/*
 * Lends the oldest slot that no consumer holds. End it with exactly one ring_publish or
 * ring_abandon; one loan at a time. Never waits.
 * Errors: -EBUSY a loan is out already; -ESTALE in a child after fork(2): the ring belongs to
 * the process that opened it, open another.
 * Thread: the producer's one writing thread. Cost: about 100 ns plus one line per lease.
 */
int ring_loan(struct ring_producer *producer, struct ring_loan *ret_loan);

/*
 * Makes the loaned slot the newest frame and wakes the consumers that sleep. Sets frame->seq and
 * the PUBLISHED (packet ring: PACKET_PUBLISHED) stamp in the slot. Returns the new sequence
 * number, or -EMSGSIZE when payload_bytes or user_bytes do not fit (the loan is then abandoned),
 * or -ESTALE in a child after fork(2), whose parent still has the loan.
 * The payload must be complete: synchronize the stream that writes it, on a cuda ring and on a
 * pinned one alike.
 * Cost: no system call unless a consumer sleeps (one write to a pipe each).
 */
int64_t ring_publish(struct ring_producer *producer, const struct ring_loan *loan,
                     const struct ring_frame *frame);

/* Gives the slot back unpublished; its previous content is lost. */
void ring_abandon(struct ring_producer *producer, const struct ring_loan *loan);

/* What all consumers together ask for. */
struct ring_demand {
    uint32_t consumers;              /* attached now */
    uint32_t wanting;                /* of these, how many want frames */
    uint32_t keyframe_requests;      /* grows by one with each request */
    uint32_t settings_changes;       /* grows by one whenever `settings` was told anew */
    struct stream_settings settings; /* the last told; all 0 before */
};

/* Thread: any. Cost: a mutex, no system call. */
void ring_producer_demand(struct ring_producer *producer, struct ring_demand *ret_demand);

/*
 * An eventfd that becomes readable when the demand changed. The owner reads it (clears it) and
 * then asks ring_producer_demand. Borrowed.
 */
int ring_producer_demand_fd(const struct ring_producer *producer);

/* ---- consumer ---------------------------------------------------------------------------- */

struct ring_consumer;

struct ring_consumer_config {
    const char *dir;    /* NULL: RING_DIR_DEFAULT */
    const char *stream; /* required */
    enum ring_kind kind;
    unsigned leases; /* views held at the same time; 0: 1, at most RING_CONSUMER_LEASES_MAX */
    /*
     * Says that this program looks at ring_view.memory. Otherwise a ring on a GPU is refused
     * (RING_REFUSED) and never handed out as if it were host memory.
     */
    bool accept_cuda;
    bool pin_for_cuda; /* as the producer's, for copies to the GPU; read-only */
    int cuda_device;   /* for pin_for_cuda */
};

enum ring_policy {
    RING_LATEST, /* the newest frame, skipping what came between */
    RING_NEXT,   /* every frame in order; after a loss, resumes at a keyframe */
};

enum ring_link {
    RING_DETACHED, /* no producer; trying again every 50 ms */
    RING_ATTACHED,
    RING_REFUSED, /* another version, no leases left, GPU memory out of reach; keeps trying */
};

/*
 * Opens the consumer's side. The producer need not exist yet: the consumer attaches by itself,
 * and again after every restart of the producer. On success the caller owns *ret_consumer.
 * Errors: -EINVAL a bad name or kind; -ENAMETOOLONG; -ENOMEM, -EMFILE.
 */
int ring_consumer_open(const struct ring_consumer_config *config,
                       struct ring_consumer **ret_consumer);

/* Takes NULL. Every view is released and becomes invalid. */
void ring_consumer_close(struct ring_consumer *consumer);

/*
 * One descriptor for poll, epoll or any event loop, the same over all re-attachments. Readable
 * means: call ring_acquire until it says -EAGAIN or -EPIPE. Borrowed.
 */
int ring_consumer_fd(const struct ring_consumer *consumer);

/*
 * Blocks until there is something to acquire or the link changed. Returns 0, -ETIMEDOUT, -EINTR,
 * or -ESTALE in a child after fork(2). A negative timeout waits for ever.
 *
 * When frames come with a rhythm it sleeps until shortly before the next is due, then spins on
 * the header: the frame is seen within a microsecond, and the producer needs no system call to
 * wake us. The spinning takes 1.6% of a core on the average, and ends when the rhythm does; then
 * this is a plain poll. It sets the calling thread's timer slack to 1 us (prctl(2)), without
 * which every sleep would end 50 us late.
 */
int ring_consumer_wait(struct ring_consumer *consumer, int timeout_ms);

struct ring_view {
    const void *payload;     /* frame.payload_bytes bytes, read-only memory; see `memory` */
    const void *user;        /* frame.user_bytes bytes */
    struct ring_frame frame; /* a copy, checked: sizes fit the slot */
    uint64_t epoch;          /* differs after each restart of the producer */
    uint64_t lost; /* frames of this epoch that this consumer missed just before this one */
    uint32_t lease;
    enum ring_memory memory;
    int cuda_device; /* RING_MEMORY_CUDA: the GPU's number in this process */
};

/*
 * Pins a frame newer than the last one acquired. End it with exactly one ring_release; until
 * then the producer cannot touch it. Also does the consumer's housekeeping: attaches, notices
 * a producer that is gone, arms the wake-up.
 * Errors: -EAGAIN nothing new (the descriptor will tell); -EPIPE no producer just now (same);
 * -EBUSY all agreed leases are in use: release one first; -EPROTO the slot's contents contradict
 * the ring (the frame is skipped); -ESTALE in a child after fork(2): open another consumer.
 * Thread: one thread per consumer. Cost: about 100 ns, no system call when a frame is there.
 */
int ring_acquire(struct ring_consumer *consumer, enum ring_policy policy,
                 struct ring_view *ret_view);

/*
 * Unpins. Pointers of the view must not be used afterwards; on a cuda ring this includes the GPU:
 * synchronize the stream that reads the payload first. Returns 0, or -ESTALE when the
 * producer had revoked the pin because it was too old: what was read of the frame since then may
 * be another frame's bytes, so discard it.
 */
int ring_release(struct ring_consumer *consumer, const struct ring_view *view);

/*
 * Whether what was read of the view so far is of one frame: 0, or -ESTALE as ring_release. For a
 * reader that passes results on before it is done with the view. The view stays to be released.
 */
int ring_check(const struct ring_consumer *consumer, const struct ring_view *view);

/* The last of these three is remembered and told again to a restarted producer. */
void ring_consumer_want(struct ring_consumer *consumer, bool wanted);
void ring_consumer_request_keyframe(struct ring_consumer *consumer);
void ring_consumer_settings(struct ring_consumer *consumer, const struct stream_settings *settings);

enum ring_link ring_consumer_link(const struct ring_consumer *consumer);

/*
 * Why the consumer is not attached, as a sentence for a person ("no producer listens at ...");
 * valid until the next call on this consumer.
 */
const char *ring_consumer_link_reason(const struct ring_consumer *consumer);

/*
 * Why the attached ring is not pinned, as a sentence; "" when it is, or was not asked to be.
 * Valid until the next call on this consumer.
 */
const char *ring_consumer_pin_reason(const struct ring_consumer *consumer);

/*
 * Sequence number of the newest frame of the attached producer, whether acquired or not; 0 when
 * detached or before the first. Lets an observer count frames without pinning any.
 */
uint64_t ring_consumer_newest(struct ring_consumer *consumer);

/* ---- inspection -------------------------------------------------------------------------- */

struct ring_consumer_info {
    int32_t pid;
    uint32_t leases;  /* agreed */
    uint32_t pinned;  /* held now */
    uint32_t wanted;  /* 0 or 1 */
    uint64_t seq;     /* last frame acquired; newest - seq is its lag */
    uint64_t frames;  /* acquired since it attached */
    uint64_t lost;    /* missed since it attached */
    uint64_t spin_ns; /* processor time given to spinning */
    uint64_t revoked; /* pins that were too old */
};

struct ring_info {
    int32_t pid; /* the producer's */
    uint32_t slot_count;
    uint64_t slot_bytes;
    uint64_t payload_bytes_max;
    uint64_t epoch;
    uint64_t newest; /* sequence number */
    uint32_t leases_max;
    uint32_t memory;            /* enum ring_memory */
    uint64_t device_slot_bytes; /* of slot_count payloads on the GPU; 0 in host memory */
    uint32_t reserved;
    uint32_t consumer_count;
    struct ring_consumer_info consumers[RING_LEASES_MAX];
};

/*
 * Asks a producer about itself and its consumers. What consumers say of themselves is not
 * verified. Errors: -ENOENT, -ECONNREFUSED no producer; -ETIMEDOUT it does not answer within a
 * second; -EPROTO it answers nonsense; -EINVAL a bad name.
 * Thread: any. Cost: a connection; takes no lease.
 */
int ring_inspect(const char *dir, const char *stream, enum ring_kind kind,
                 struct ring_info *ret_info);

/* The file name of a stream's socket. Errors: -EINVAL, -ENAMETOOLONG. */
int ring_socket_path(const char *dir, const char *stream, enum ring_kind kind, char *ret_path,
                     size_t path_bytes);

#ifdef __cplusplus
}
#endif

#endif
