/** The parameters of `h` and `svg` in dom.js. */

/** A node, a text, or lists of them; null, undefined and false are ignored. */
export type Child = Node|string|number|null|undefined|false|readonly Child[];

/** Listeners by event name; `currentTarget` is the element that they are attached to. */
export type Listeners<T> = {
    [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E] & {readonly currentTarget: T}) => void;
};

type Value = string|number|boolean|null|undefined;

/** Attributes and properties by name; null, undefined and false omit one. */
export interface Attributes<T> {
    on?: Listeners<T>;
    /** Data attributes. */
    data?: Record<string, string>;
    [name: string]: Value|Listeners<T>|Record<string, string>;
}
