// @ts-check
/**
 * What every module needs: elements, requests, messages between modules, memory.
 *
 *   h(tag, attributes, ...children)   an element; svg(...) the same for drawings
 *   setText(node, text)               changes a text without touching the DOM when nothing changed
 *   api(path, {method, body, quiet})  JSON from /train-lora/<path>; failures show a toast unless quiet
 *   store.get(key, fallback) / set    kept in this browser
 *   on(name, listener) / emit(name)   messages between parts ("folder", "run-started", …)
 *   later(listener, milliseconds)     a debounced function
 */

import {toast} from "./parts.js";

const SVG = "http://www.w3.org/2000/svg";
const PREFIX = "train_lora.";
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);

/** An error that the server has put into words. */
export class ApiError extends Error {
    /**
     * @param {string} message a sentence for the user
     * @param {string[]} problems further sentences
     * @param {number} status the HTTP status, 0 when the server did not answer
     */
    constructor(message, problems = [], status = 0) {
        super(message);
        this.problems = problems;
        this.status = status;
    }
}

/**
 * @param {Element} element
 * @param {Record<string, any>} attributes `on` holds listeners, `data` data attributes, null leaves one out
 */
function setAttributes(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name === "on") {
            for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
        } else if (name === "data") {
            Object.assign(/** @type {HTMLElement} */ (element).dataset, value);
        } else if (PROPERTIES.has(name)) {
            /** @type {any} */ (element)[name] = value;
        } else if (value === true) {
            element.setAttribute(name, "");
        } else if (value !== null && value !== undefined && value !== false) {
            element.setAttribute(name, String(value));
        }
    }
}

/** @param {Element} element @param {any[]} children nodes, texts, lists of them; null and false are left out */
function append(element, children) {
    for (const child of children.flat(Infinity)) {
        if (child === null || child === undefined || child === false) continue;
        element.append(child instanceof Node ? child : String(child));
    }
}

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...any} children
 * @returns {any} the HTML element
 */
export function h(tag, attributes = {}, ...children) {
    /** @type {any} */
    const element = document.createElement(tag);
    setAttributes(element, attributes);
    append(element, children);
    if (tag === "select" && "value" in attributes) element.value = attributes.value;
    return element;
}

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...any} children
 * @returns {any} the SVG element
 */
export function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS(SVG, tag);
    setAttributes(element, attributes);
    append(element, children);
    return element;
}

/** @param {Element} element @param {...any} children put in place of what was there */
export function fill(element, ...children) {
    element.replaceChildren();
    append(element, children);
}

/**
 * Texts that change while polling are changed inside their node: the webui watches every added or removed node.
 * @param {Element} element @param {string} text
 */
export function setText(element, text) {
    const node = element.firstChild;
    if (node && node === element.lastChild && node.nodeType === Node.TEXT_NODE) {
        if (node.nodeValue !== text) node.nodeValue = text;
    } else if (element.textContent !== text) {
        element.textContent = text;
    }
}

/**
 * @param {string} path below /train-lora/
 * @param {{method?: string, body?: any, quiet?: boolean, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} the answer; rejects with ApiError
 */
export async function api(path, options = {}) {
    const method = options.method || (options.body === undefined ? "GET" : "POST");
    try {
        return await request(path, method, options);
    } catch (caught) {
        const error = /** @type {ApiError} */ (caught);
        if (!options.quiet && error.name !== "AbortError") {
            toast("error", error.message, {problems: error.problems || []});
        }
        throw error;
    }
}

/** @param {string} path @param {string} method @param {{body?: any, signal?: AbortSignal}} options */
async function request(path, method, options) {
    /** @type {RequestInit} */
    const init = {method, signal: options.signal, headers: {"X-Train-Lora": "1"}, credentials: "same-origin"};
    if (options.body !== undefined) {
        init.body = JSON.stringify(options.body);
        init.headers = {...init.headers, "Content-Type": "application/json"};
    }
    let response;
    try {
        response = await fetch(url(path), init);
    } catch (error) {
        if (/** @type {Error} */ (error).name === "AbortError") throw error;
        throw new ApiError("The webui does not answer. Is it still running?");
    }
    const text = await response.text();
    const answer = parsed(text);
    if (response.ok && answer !== undefined) return answer;
    throw failure(response.status, answer, text);
}

/** @param {string} text */
function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

/** @param {number} status @param {any} answer @param {string} text */
function failure(status, answer, text) {
    if (status === 401) return new ApiError("Please log in to the webui first.", [], status);
    if (answer && typeof answer.error === "string") {
        return new ApiError(answer.error, answer.problems || [], status);
    }
    const detail = answer && answer.detail ? answer.detail : text;
    const words = typeof detail === "string" ? detail : JSON.stringify(detail);
    if (status < 500) return new ApiError(words.slice(0, 400) || `The webui answered ${status}.`, [], status);
    return new ApiError("Something went wrong inside the extension.", [words.slice(-1200)], status);
}

/** @param {string} path @returns {string} its address; relative, as the webui may live below a path */
export function url(path) {
    return `./train-lora/${path}`;
}

export const store = {
    /** @param {string} key @param {any} fallback @returns {any} */
    get(key, fallback) {
        try {
            const text = localStorage.getItem(PREFIX + key);
            return text === null ? fallback : JSON.parse(text);
        } catch {
            return fallback;  // private windows and full storages have no memory
        }
    },
    /** @param {string} key @param {any} value undefined forgets it */
    set(key, value) {
        try {
            if (value === undefined) localStorage.removeItem(PREFIX + key);
            else localStorage.setItem(PREFIX + key, JSON.stringify(value));
        } catch {
            // as above: the form then starts empty next time
        }
    },
};

const bus = new EventTarget();

/** @param {string} name @param {(detail: any) => void} listener */
export function on(name, listener) {
    bus.addEventListener(name, (event) => listener(/** @type {CustomEvent} */ (event).detail));
}

/** @param {string} name @param {any} [detail] */
export function emit(name, detail) {
    bus.dispatchEvent(new CustomEvent(name, {detail}));
}

/**
 * @template {any[]} A
 * @param {(...args: A) => void} listener @param {number} milliseconds
 * @returns {(...args: A) => void} calls `listener` once, when it was not called again for so long
 */
export function later(listener, milliseconds) {
    let timer = 0;
    return (...args) => {
        clearTimeout(timer);
        timer = window.setTimeout(() => listener(...args), milliseconds);
    };
}

let lastId = 0;

/** @param {string} word @returns {string} an id that no other element has */
export function uniqueId(word) {
    lastId += 1;
    return `tl-${word}-${lastId}`;
}
