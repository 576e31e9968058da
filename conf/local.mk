# SPDX-License-Identifier: Apache-2.0
# Configs and the shipped targets, beside each other as the configs' relative paths expect.
confdir = $(pkgdatadir)/conf
dist_conf_DATA = \
  conf/addition-pretrain.cfg \
  conf/addition-prior.inc \
  conf/addition.cfg \
  conf/ioi-tiny-pretrain.cfg \
  conf/ioi-tiny-prior.inc \
  conf/ioi-tiny-templates.txt \
  conf/ioi-tiny.cfg
ioitinydir = $(confdir)/models/ioi-tiny
dist_ioitiny_DATA = \
  conf/models/ioi-tiny/config.json \
  conf/models/ioi-tiny/model.safetensors \
  conf/models/ioi-tiny/tokenizer.json \
  conf/models/ioi-tiny/tokenizer_config.json
additionmodeldir = $(confdir)/models/addition
dist_additionmodel_DATA = \
  conf/models/addition/config.json \
  conf/models/addition/model.safetensors \
  conf/models/addition/tokenizer.json \
  conf/models/addition/tokenizer_config.json
