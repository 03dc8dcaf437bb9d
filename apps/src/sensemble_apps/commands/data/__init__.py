"""`sensemble data ...`: build the digits, prepare a published dataset, inspect or divide one."""
