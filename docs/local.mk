# SPDX-License-Identifier: Apache-2.0
dist_doc_DATA = LICENSE README.md docs/architecture.md docs/dependencies.md docs/report.md
EXTRA_DIST += docs/heatmap.png quickstart .ci/run
