/**
 * A network interface's name as ip(8) takes it and nothing reads as something else: one argument and no option, one file
 * name, no wildcard or quote of nft's. IFNAMSIZ is 16 with its closing zero (linux/if.h).
 */
export const INTERFACE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}$/;
