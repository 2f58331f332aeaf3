// SPDX-License-Identifier: Apache-2.0
#include "instance/petname.hpp"

#include <array>
#include <random>

namespace lxdcore::instance {

namespace {

constexpr std::array kAdjectives{
    "able",   "amber",  "ample", "apt",    "arctic", "bold",    "brave", "bright", "brisk", "calm",   "candid",
    "clever", "cosmic", "crisp", "daring", "deep",   "eager",   "early", "easy",   "fair",  "fancy",  "fast",
    "fine",   "firm",   "fresh", "gentle", "glad",   "golden",  "grand", "green",  "happy", "hardy",  "honest",
    "humble", "ideal",  "jolly", "keen",   "kind",   "lively",  "loyal", "lucid",  "lucky", "mellow", "merry",
    "mighty", "modest", "neat",  "noble",  "novel",  "patient", "proud", "quick",  "quiet", "rapid",  "rare",
    "ready",  "robust", "royal", "sharp",  "silent", "smart",   "solid", "steady", "sunny", "swift",  "tidy",
    "trusty", "vivid",  "warm",  "wise",   "witty",  "young"};
constexpr std::array kAnimals{
    "ant",   "badger", "bat",    "bear",   "beaver", "bee",   "bison",  "boar",    "camel",  "carp",   "cat",
    "cobra", "cod",    "condor", "coral",  "cow",    "crab",  "crane",  "cricket", "crow",   "deer",   "dingo",
    "dog",   "donkey", "dove",   "duck",   "eagle",  "eel",   "egret",  "elk",     "falcon", "ferret", "finch",
    "fox",   "frog",   "gecko",  "gibbon", "goat",   "goose", "gull",   "hare",    "hawk",   "heron",  "horse",
    "ibex",  "ibis",   "jackal", "jay",    "koala",  "lark",  "lemur",  "lion",    "lizard", "llama",  "lynx",
    "mole",  "moose",  "moth",   "mouse",  "newt",   "otter", "owl",    "ox",      "panda",  "parrot", "perch",
    "pike",  "pony",   "puma",   "quail",  "rabbit", "raven", "robin",  "salmon",  "seal",   "shark",  "sheep",
    "skunk", "sloth",  "snail",  "snake",  "squid",  "stork", "swan",   "tiger",   "toad",   "trout",  "turtle",
    "viper", "walrus", "wasp",   "weasel", "whale",  "wolf",  "wombat", "wren",    "yak",    "zebra"};

} // namespace

std::string random_name() {
    std::random_device random;
    const auto pick = [&](const auto& words) { return std::string{words[random() % words.size()]}; };
    return pick(kAdjectives) + "-" + pick(kAnimals);
}

} // namespace lxdcore::instance
