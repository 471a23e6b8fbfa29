/** Of every JSON object the program prints or serves (`"v":1`). A field is only ever added within one version. */
export const CONTROL_VERSION = 1;

/** A request above this is not one of ours. */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
