libinversescope_la_SOURCES += \
  core/tensor/adamw.c \
  core/tensor/arena.c \
  core/tensor/arena.h \
  core/tensor/count.c \
  core/tensor/count.h \
  core/tensor/device.c \
  core/tensor/gradient.c \
  core/tensor/internal.h \
  core/tensor/op_attention.c \
  core/tensor/op_control.c \
  core/tensor/op_elementwise.c \
  core/tensor/op_embed.c \
  core/tensor/op_heads.c \
  core/tensor/op_linear.c \
  core/tensor/op_normalise.c \
  core/tensor/op_packed.c \
  core/tensor/op_prepend.c \
  core/tensor/op_xent.c \
  core/tensor/packed.h \
  core/tensor/paper.c \
  core/tensor/paper.h \
  core/tensor/params.c \
  core/tensor/params.h \
  core/tensor/shape.c \
  core/tensor/step.c \
  core/tensor/tape.c
