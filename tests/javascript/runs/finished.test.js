/** The end of the queue in words, and the title of the browser's tab. */
import assert from "node:assert/strict";
import {describe, it} from "node:test";

import {failedSince, failedWords} from "../../../javascript/modules/runs/finished/failed_words.js";
import {prefixOf, withPrefix} from "../../../javascript/modules/runs/finished/title_words.js";
import {aboutChoice, clock, noteOfChoice} from "../../../javascript/modules/runs/finished/words.js";

describe("the clock of the countdown", () => {
    for (const [seconds, words] of [[120, "2:00"], [119.2, "2:00"], [67, "1:07"], [0.4, "0:01"], [0, "0:00"], [-3, "0:00"]]) {
        it(`${seconds}`, () => assert.equal(clock(seconds), words));
    }
});

describe("what the choice waits for", () => {
    const state = {choice: "sleep", choices: [{name: "sleep", label: "", refused: ""}], command: "", waits_for: [],
        countdown: null, notice: null};
    for (const [names, words] of [[[], "Waits for the next run."], [["penny"], "Waits for penny."],
        [["a", "b", "c"], "Waits for a, b and c."], [["a", "b", "c", "d", "e"], "Waits for a, b and 3 more."]]) {
        it(words, () => assert.equal(aboutChoice({...state, waits_for: names}), words));
    }
    it("says once why choices are refused", () => assert.equal(aboutChoice({...state, choice: "nothing", choices: [
        {name: "sleep", label: "", refused: "No."}, {name: "shut_down", label: "", refused: "No."}]}), "No."));
    it("shows the command that will run", () => assert.equal(aboutChoice({...state, choice: "command", command: "echo 1"}),
        "Waits for the next run.\nYour command: echo 1"));
});

describe("the note at the queue", () => {
    const state = {choice: "nothing", command: "", waits_for: [], countdown: null, notice: null};
    const refusing = (...reasons) => ({...state, choices: reasons.map((refused, index) => ({name: `${index}`, label: "", refused}))});
    it("is empty while one choice is not possible", () => assert.equal(noteOfChoice(refusing("", "No command.", "")), ""));
    it("says why none is possible", () => assert.equal(noteOfChoice(refusing("", "Others.", "Others.")), "Others."));
    it("is empty for different reasons", () => assert.equal(noteOfChoice(refusing("", "No command.", "No sleep.")), ""));
    it("is repeated once in what is said about the choices", () => assert.equal(
        aboutChoice({...refusing("", "Others.", "Others."), choice: "sound"}), "Waits for the next run.\nOthers."));
});

describe("runs that failed while nobody looked", () => {
    const [day, now] = [86400, 1e9];
    const runs = [["a", "failed", now - 10], ["b", "lost", now - 20], ["c", "finished", now], ["d", "lost", now - 2 * day],
        ["e", "running", now]].map(([name, state, last]) => ({name, state, last_event: last, step: 11}));
    const names = (seen) => failedSince(runs, seen, now).map(({name}) => name).join("");
    it("are those since the last one that was shown", () => assert.equal(names(now - 15), "a"));
    it("are shown once", () => assert.equal(names(now - 10), ""));
    it("are those of the last day in a new browser", () => assert.equal(names(0), "ab"));
    it("may be older if they were not seen", () => assert.equal(names(now - 3 * day), "abd"));
    it("are named with the way to resume", () => assert.equal(failedWords(runs.slice(1, 2)),
        "b was interrupted, as by a power cut or a crash, at step 11. Runs shows why, and resumes it."));
    it("may not have begun", () => assert.equal(failedWords([{...runs[0], step: 0}]),
        "a failed before its first step. Runs shows why, and resumes it."));
    it("are counted", () => assert.equal(failedWords(runs.slice(0, 3)),
        "a and 2 other runs failed or were interrupted. Runs shows why, and resumes them."));
    it("are nothing without any", () => assert.equal(failedWords([]), ""));
});

describe("the title of the tab", () => {
    const run = {name: "penny", step: 37, total_steps: 100};
    it("has the share of the steps", () => assert.equal(prefixOf(run), "37 % penny – "));
    it("is 100 % only at the end", () => assert.equal(prefixOf({...run, step: 999, total_steps: 1000}), "99 % penny – "));
    it("begins with 0 %", () => assert.equal(prefixOf({name: "penny"}), "0 % penny – "));
    const [old, now] = ["36 % penny – ", "37 % penny – "];
    for (const [title, before, prefix, words] of [
        ["Stable Diffusion", "", now, `${now}Stable Diffusion`],
        [`${old}Stable Diffusion`, old, now, `${now}Stable Diffusion`],
        [`${old}Stable Diffusion`, old, "", "Stable Diffusion"],
        ["[50% ETA: 3s] Stable Diffusion", old, now, "[50% ETA: 3s] Stable Diffusion"],
        ["[50% ETA: 3s] Stable Diffusion", old, "", "[50% ETA: 3s] Stable Diffusion"],
        ["Stable Diffusion", now, now, `${now}Stable Diffusion`],
        ["100 % mine", "", "", "100 % mine"]]) {
        it(`${title} after "${before}" with "${prefix}"`, () => assert.equal(withPrefix(title, before, prefix), words));
    }
});
