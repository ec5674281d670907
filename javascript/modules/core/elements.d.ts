/** What `h` and `svg` in dom.js take. */

/** A node, a text, or lists of them; null, undefined and false are ignored. */
export type Child = Node|string|number|null|undefined|false|readonly Child[];

/** Listeners by the name of their event; `currentTarget` is the element that they are put on. */
export type Listeners<T> = {
    [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E] & {readonly currentTarget: T}) => void;
};

type Value = string|number|boolean|null|undefined;

/** Attributes and properties by name; null, undefined and false leave one out. */
export interface Attributes<T> {
    on?: Listeners<T>;
    /** Data attributes. */
    data?: Record<string, string>;
    [name: string]: Value|Listeners<T>|Record<string, string>;
}
