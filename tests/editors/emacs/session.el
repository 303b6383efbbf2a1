;;; session.el --- One server for all tests of an Emacs in batch mode  -*- lexical-binding: t -*-

;;; Commentary:

;; The init file under test is loaded before this one; the folder is in $FOLDER.

;;; Code:

(require 'cl-lib)
(require 'eglot)
(require 'ert)
(require 'python)
(require 'url-util)

(setq eglot-sync-connect t
      eglot-connect-timeout 300
      eglot-confirm-server-edits nil ; nobody is there to answer
      python-indent-guess-indent-offset nil
      make-backup-files nil
      create-lockfiles nil)

(defvar session-messages nil
  "What the user was told, the last first.")
(advice-add 'message :before
            (lambda (text &rest values)
              (when text
                (push (apply #'format-message text values) session-messages))))

(defmacro until (what &rest condition)
  "Wait until CONDITION holds and return it; WHAT says what is waited for."
  (declare (indent 1))
  `(let ((end (+ (float-time) 300))
         value)
     (while (not (setq value (progn ,@condition)))
       (when (> (float-time) end)
         (error "Waited in vain for %s; messages: %S"
                ,what (take 9 session-messages)))
       (accept-process-output nil 0.02))
     value))

(defmacro with-file (name text &rest body)
  "Run BODY in a new file NAME with TEXT, point at its end, as a user sees it."
  (declare (indent 2))
  `(let ((file (expand-file-name ,name (getenv "FOLDER"))))
     (write-region ,text nil file nil 'silent)
     (switch-to-buffer (find-file-noselect file))
     (run-hooks 'post-command-hook) ; where `eglot-ensure' connects
     (until "eglot" (eglot-managed-p))
     (goto-char (point-max))
     (unwind-protect
         (progn ,@body)
       (set-buffer-modified-p nil)
       (kill-buffer))))

(defun last-completion ()
  "What the server says of the last suggestion for this file."
  (jsonrpc-request (eglot-current-server) :starfill/lastCompletion
                   (list :uri (concat "file://" (url-hexify-string (file-truename buffer-file-name)
                                                                   url-path-allowed-chars)))))

(defun on-disk ()
  "Save this buffer and read its file."
  (save-buffer)
  (let ((file buffer-file-name))
    (with-temp-buffer
      (insert-file-contents file)
      (buffer-string))))

(provide 'session)
;;; session.el ends here
