/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, places, objects and sentences of the IOI prior, our own.
 *
 * No sentence begins with a name, because a tokenizer that marks spaces splits a name there otherwise.
 */
#include "ioi_lists.h"
#include <stddef.h>

const char *const ioi_names[] = {
    "Emma",    "Peter",     "Laura",   "Simon",     "Julia",   "Thomas",    "Alice",   "Oscar",
    "Nina",    "Victor",    "Grace",   "Martin",    "Helen",   "Daniel",    "Clark",   "Ruth",
    "Leo",     "Diana",     "Henry",   "Olivia",    "Paul",    "Hannah",    "Isaac",   "Rachel",
    "Adam",    "Sophie",    "Walter",  "Lucy",      "George",  "Maria",     "Oliver",  "Anna",
    "Frank",   "Claire",    "Edward",  "Betty",     "Samuel",  "Karen",     "Philip",  "Nora",
    "David",   "Susan",     "Robert",  "Jane",      "Charles", "Linda",     "Andrew",  "Sarah",
    "Luke",    "Martha",    "Jacob",   "Emily",     "Ryan",    "Judith",    "Kevin",   "Nancy",
    "Eric",    "Amanda",    "Brian",   "Teresa",    "Scott",   "Rebecca",   "Neil",    "Michelle",
    "Gordon",  "Patricia",  "Alan",    "Barbara",   "Roger",   "Dorothy",   "Keith",   "Margaret",
    "Stephen", "Elizabeth", "Howard",  "Catherine", "Ralph",   "Christine", "Raymond", "Jennifer",
    "Vincent", "Angela",    "Dennis",  "Melissa",   "Ronald",  "Heather",   "Timothy", "Nicole",
    "Jeremy",  "Stephanie", "Nathan",  "Pamela",    "Patrick", "Sandra",    "Russell", "Kathleen",
    "Gary",    "Wendy",     "Craig",   "Vanessa",   "Todd",    "Louise",    "Harold",  "Caroline",
    "Wayne",   "Gloria",    "Leonard", "Joyce",     "Stanley", "Molly",     "Ethan",   "Lauren",
    "Albert",  "Maya",      "Douglas", "Zoe",       "Lewis",   "Ellen",     "Arthur",  "Megan",
    NULL};

const char *const ioi_places[] = {"market", "library", "garden", "station",  "museum",
                                  "bakery", "theater", "harbor", "hospital", "beach",
                                  "office", "hotel",   NULL};

const char *const ioi_objects[] = {"book",    "flower",   "ticket", "camera", "letter",
                                   "jacket",  "guitar",   "map",    "coin",   "lamp",
                                   "blanket", "sandwich", NULL};

/* A sentence in both orders: with the indirect object [A] named first, and with the subject [B]. */
#define BOTH_ORDERS(before, after) before "[A] and [B]" after, before "[B] and [A]" after

const char *const ioi_templates[] = {
    BOTH_ORDERS("After breakfast, ", " walked to the [PLACE]. [B] handed a [OBJECT] to"),
    BOTH_ORDERS("While ", " were waiting at the [PLACE], [B] passed a [OBJECT] to"),
    BOTH_ORDERS("On Sunday, ", " met near the [PLACE], and [B] lent a [OBJECT] to"),
    BOTH_ORDERS("Once ", " had finished at the [PLACE], [B] offered a [OBJECT] to"),
    BOTH_ORDERS("Last week ", " had a long talk at the [PLACE]. Later, [B] sent a [OBJECT] to"),
    BOTH_ORDERS("Before ", " left the [PLACE], [B] returned a [OBJECT] to"),
    BOTH_ORDERS("Because ", " were both late for the [PLACE], [B] threw a [OBJECT] to"),
    BOTH_ORDERS("This morning ", " opened the [PLACE] together, and [B] sold a [OBJECT] to"),
    BOTH_ORDERS("It was raining when ",
                " came out of the [PLACE]. Smiling, [B] gave a [OBJECT] to"),
    BOTH_ORDERS("As ", " were cleaning the [PLACE], [B] carried a [OBJECT] to"),
    BOTH_ORDERS("In the evening ", " sat down outside the [PLACE]. Then [B] showed a [OBJECT] to"),
    BOTH_ORDERS("Although ", " rarely visit the [PLACE], today [B] brought a [OBJECT] to"),
    BOTH_ORDERS("Yesterday ",
                " got lost on the way to the [PLACE], where [B] described a [OBJECT] to"),
    BOTH_ORDERS("During the storm, ", " hid in the [PLACE]. [B] promised a [OBJECT] to"),
    BOTH_ORDERS("Our neighbors ", " share a desk at the [PLACE], and [B] lends a [OBJECT] to"),
    BOTH_ORDERS("Two hours after ", " reached the [PLACE], [B] mailed a [OBJECT] to"),
    NULL};
