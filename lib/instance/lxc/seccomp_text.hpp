// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lxdcore::instance::seccomp_text {

inline constexpr const char* defaults = "[all]\n"
                                        "reject_force_umount\n"
                                        "[all]\n"
                                        "kexec_load errno 38\n"
                                        "open_by_handle_at errno 38\n"
                                        "init_module errno 38\n"
                                        "finit_module errno 38\n"
                                        "delete_module errno 38\n";

/// The kernel's entries for programs of the x32 interface, by the names that LXD gives them. A libseccomp that does not
/// know a name leaves it out.
inline constexpr const char* compat = "[x86_64]\n"
                                      "compat_sys_rt_sigaction errno 38\n"
                                      "stub_x32_rt_sigreturn errno 38\n"
                                      "compat_sys_ioctl errno 38\n"
                                      "compat_sys_readv errno 38\n"
                                      "compat_sys_writev errno 38\n"
                                      "compat_sys_recvfrom errno 38\n"
                                      "compat_sys_sendmsg errno 38\n"
                                      "compat_sys_recvmsg errno 38\n"
                                      "stub_x32_execve errno 38\n"
                                      "compat_sys_ptrace errno 38\n"
                                      "compat_sys_rt_sigpending errno 38\n"
                                      "compat_sys_rt_sigtimedwait errno 38\n"
                                      "compat_sys_rt_sigqueueinfo errno 38\n"
                                      "compat_sys_sigaltstack errno 38\n"
                                      "compat_sys_timer_create errno 38\n"
                                      "compat_sys_mq_notify errno 38\n"
                                      "compat_sys_kexec_load errno 38\n"
                                      "compat_sys_waitid errno 38\n"
                                      "compat_sys_set_robust_list errno 38\n"
                                      "compat_sys_get_robust_list errno 38\n"
                                      "compat_sys_vmsplice errno 38\n"
                                      "compat_sys_move_pages errno 38\n"
                                      "compat_sys_preadv64 errno 38\n"
                                      "compat_sys_pwritev64 errno 38\n"
                                      "compat_sys_rt_tgsigqueueinfo errno 38\n"
                                      "compat_sys_recvmmsg errno 38\n"
                                      "compat_sys_sendmmsg errno 38\n"
                                      "compat_sys_process_vm_readv errno 38\n"
                                      "compat_sys_process_vm_writev errno 38\n"
                                      "compat_sys_setsockopt errno 38\n"
                                      "compat_sys_getsockopt errno 38\n"
                                      "compat_sys_io_setup errno 38\n"
                                      "compat_sys_io_submit errno 38\n"
                                      "stub_x32_execveat errno 38\n";

} // namespace lxdcore::instance::seccomp_text
