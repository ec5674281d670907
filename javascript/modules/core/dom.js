/**
 * Basics for every module: elements, requests, messages between modules, storage.
 *
 *   h(tag, attributes, ...children)   an element; svg(...) the same for SVG
 *   setText(node, text)               changes a text, without touching the DOM if it is the same
 *   api(path, {method, body, quiet})  JSON from /train-lora/<path>; failures show a toast unless quiet
 *   store.get(key, fallback) / set    values stored in this browser
 *   on(name, listener) / emit(name)   messages between parts ("dataset", "run-started", …)
 *   later(listener, milliseconds)     a debounced function
 */

import {toast} from "./parts.js";

const SVG = "http://www.w3.org/2000/svg";
const PREFIX = "train_lora.";
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);

/** An error with a message for the user, usually from the server. */
export class ApiError extends Error {
    /**
     * @param {string} message a sentence for the user
     * @param {string[]} problems further messages
     * @param {number} status the HTTP status, 0 if the server did not respond
     */
    constructor(message, problems = [], status = 0) {
        super(message);
        this.problems = problems;
        this.status = status;
    }
}

/**
 * @template {HTMLElement|SVGElement} T
 * @param {T} element
 * @param {import("./elements").Attributes<T>} attributes `on`: listeners, `data`: data attributes; null omits one
 */
function setAttributes(element, {on: listeners = {}, data = {}, ...attributes}) {
    for (const [event, listener] of Object.entries(listeners)) {
        element.addEventListener(event, /** @type {EventListener} */ (listener));
    }
    Object.assign(element.dataset, data);
    for (const [name, value] of Object.entries(attributes)) {
        if (PROPERTIES.has(name)) {
            Object.assign(element, {[name]: value});
        } else if (value === true) {
            element.setAttribute(name, "");
        } else if (value !== null && value !== undefined && value !== false) {
            element.setAttribute(name, String(value));
        }
    }
}

/** @typedef {import("./elements").Child} Child */
/** @typedef {import("./messages").Messages} Messages */
/** @typedef {import("./routes").Options} Options */

/** @param {Element} element @param {readonly Child[]} children */
function append(element, children) {
    for (const child of children) {
        if (child === null || child === undefined || child === false) continue;
        if (typeof child !== "object") element.append(String(child));
        else if (child instanceof Node) element.append(child);
        else append(element, child);
    }
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {import("./elements").Attributes<HTMLElementTagNameMap[K]>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    setAttributes(element, attributes);
    append(element, children);
    if (element instanceof HTMLSelectElement && "value" in attributes) element.value = String(attributes.value);
    return element;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {import("./elements").Attributes<SVGElementTagNameMap[K]>} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS(SVG, tag);
    setAttributes(element, attributes);
    append(element, children);
    return element;
}

/** @param {Element} element @param {...Child} children its new children */
export function fill(element, ...children) {
    element.replaceChildren();
    append(element, children);
}

/**
 * Change the text inside its node, since the webui observes every added or removed node.
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
 * @template {string} P
 * @template {Options} [O={}]
 * @param {P} path below /train-lora/
 * @param {O} [options]
 * @returns {Promise<import("./routes").Answer<P, O>>} rejects with ApiError
 */
export async function api(path, options) {
    const {method, body, quiet} = /** @type {Options} */ (options || {});
    try {
        return await request(path, method || (body === undefined ? "GET" : "POST"), options || {});
    } catch (caught) {
        const error = failureOf(caught);
        if (!quiet && error.name !== "AbortError") toast("error", error.message, {problems: error.problems});
        throw caught;
    }
}

/**
 * @param {unknown} caught the error of a request
 * @returns {{name: string, message: string, problems: string[], status: number}} status is 0 without a response
 */
export function failureOf(caught) {
    if (caught instanceof ApiError) return caught;
    const {name, message} = caught instanceof Error ? caught : {name: "Error", message: String(caught)};
    return {name, message, problems: [], status: 0};
}

/**
 * Whether the same request may work later: the webui did not respond, or failed, rather than refuse what was asked.
 * @param {{status: number}} failure as `failureOf` returns it
 */
export const mayWorkLater = ({status}) => status === 0 || status >= 500;

/**
 * @param {string} path @param {string} method @param {Options} options
 * @returns {Promise<any>} the parsed JSON; routes.d.ts has its types, which tests/ui check against real responses
 */
async function request(path, method, options) {
    /** @type {RequestInit} */
    const init = {method, signal: options.signal, headers: {"X-Train-Lora": "1"}, credentials: "same-origin"};
    if (options.body instanceof Blob) {
        init.body = options.body;
        init.headers = {...init.headers, "Content-Type": "application/octet-stream"};
    } else if (options.body !== undefined) {
        init.body = JSON.stringify(options.body);
        init.headers = {...init.headers, "Content-Type": "application/json"};
    }
    let response;
    try {
        response = await fetch(url(path), init);
    } catch (error) {
        if (failureOf(error).name === "AbortError") throw error;
        throw new ApiError("The webui does not answer. Is it still running?");
    }
    const text = await response.text();
    const answer = parsed(text);
    if (response.ok && answer !== undefined) return answer;
    throw failure(response.status, answer, text);
}

/** @param {string} text @returns {any} undefined if it is not JSON */
function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

/** @param {number} status @param {{error?: unknown, problems?: string[], detail?: unknown}|undefined} answer @param {string} text */
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

/** @param {string} path @returns {string} its URL; relative, since the webui may be served below a path */
export function url(path) {
    return `./train-lora/${path}`;
}

export const store = {
    /**
     * @template T
     * @param {string} key @param {T} fallback
     * @returns {T} the value stored by this version or an older one
     */
    get(key, fallback) {
        try {
            const text = localStorage.getItem(PREFIX + key);
            return text === null ? fallback : JSON.parse(text);
        } catch {
            return fallback;  // storage may be unavailable in private windows, or full
        }
    },
    /** @param {string} key @param {unknown} value undefined removes it */
    set(key, value) {
        try {
            if (value === undefined) localStorage.removeItem(PREFIX + key);
            else localStorage.setItem(PREFIX + key, JSON.stringify(value));
        } catch {
            // as above: the value is lost on reload
        }
    },
};

const bus = new EventTarget();

/** @template {keyof Messages} K @param {K} name @param {(detail: Messages[K]) => void} listener */
export function on(name, listener) {
    bus.addEventListener(name, (event) => listener(/** @type {CustomEvent} */ (event).detail));
}

/** @template {keyof Messages} K @param {K} name @param {Messages[K]} [detail] */
export function emit(name, detail) {
    bus.dispatchEvent(new CustomEvent(name, {detail}));
}

/**
 * @template {unknown[]} A
 * @param {(...args: A) => void} listener @param {number} milliseconds
 * @returns {(...args: A) => void} a debounced `listener`
 */
export function later(listener, milliseconds) {
    let timer = 0;
    return (...args) => {
        clearTimeout(timer);
        timer = window.setTimeout(() => listener(...args), milliseconds);
    };
}

let lastId = 0;

/** @param {string} word @returns {string} a unique element id */
export function uniqueId(word) {
    lastId += 1;
    return `tl-${word}-${lastId}`;
}
