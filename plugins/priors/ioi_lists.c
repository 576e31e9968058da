/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, places, objects and sentences of the IOI prior, our own.
 *
 * No sentence begins with a name, because a tokenizer that marks spaces splits a name there otherwise.
 */
#include "ioi_lists.h"

#define COUNT(list) ((int64_t)(sizeof(list) / sizeof *(list)))

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
};
const int64_t ioi_n_names = COUNT(ioi_names);

const char *const ioi_places[] = {
    "market",  "library", "garden",   "station", "museum", "bakery",
    "theater", "harbor",  "hospital", "beach",   "office", "hotel",
};
const int64_t ioi_n_places = COUNT(ioi_places);

const char *const ioi_objects[] = {
    "book",   "flower", "ticket", "camera", "letter",  "jacket",
    "guitar", "map",    "coin",   "lamp",   "blanket", "sandwich",
};
const int64_t ioi_n_objects = COUNT(ioi_objects);

const char *const ioi_sentences[] = {
    "After breakfast, [A] and [B] walked to the [PLACE]. [B] handed a [OBJECT] to",
    "While [A] and [B] were waiting at the [PLACE], [B] passed a [OBJECT] to",
    "On Sunday, [A] and [B] met near the [PLACE], and [B] lent a [OBJECT] to",
    "Once [A] and [B] had finished at the [PLACE], [B] offered a [OBJECT] to",
    "Last week [A] and [B] had a long talk at the [PLACE]. Later, [B] sent a [OBJECT] to",
    "Before [A] and [B] left the [PLACE], [B] returned a [OBJECT] to",
    "Because [A] and [B] were both late for the [PLACE], [B] threw a [OBJECT] to",
    "This morning [A] and [B] opened the [PLACE] together, and [B] sold a [OBJECT] to",
    "It was raining when [A] and [B] came out of the [PLACE]. Smiling, [B] gave a [OBJECT] to",
    "As [A] and [B] were cleaning the [PLACE], [B] carried a [OBJECT] to",
    "In the evening [A] and [B] sat down outside the [PLACE]. Then [B] showed a [OBJECT] to",
    "Although [A] and [B] rarely visit the [PLACE], today [B] brought a [OBJECT] to",
    "Yesterday [A] and [B] got lost on the way to the [PLACE], where [B] described a [OBJECT] to",
    "During the storm, [A] and [B] hid in the [PLACE]. [B] promised a [OBJECT] to",
    "Our neighbors [A] and [B] share a desk at the [PLACE], and [B] lends a [OBJECT] to",
    "Two hours after [A] and [B] reached the [PLACE], [B] mailed a [OBJECT] to",
};
const int64_t ioi_n_sentences = COUNT(ioi_sentences);
